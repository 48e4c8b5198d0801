#include "gradscape/cli/study_options.hpp"

#include <fmt/format.h>

#include "gradscape/cli/program_help.hpp"

namespace gradscape {

std::vector<std::string> choices_of(const Field& field) {
  const Experiment any;
  if (std::holds_alternative<const bool*>(field.value(any))) return {"true", "false"};
  return field.automatic ? std::vector<std::string>{"auto"} : field.choices;
}

void add_field_flags(Verb& verb, const std::shared_ptr<Overrides>& overrides, bool (*wanted)(const Field&)) {
  for (const Field& field : fields()) {
    if (!wanted(field)) continue;
    const std::string name = field.name();
    verb.text(
            "--" + name, [overrides, name](const std::string& text) { overrides->emplace_back(name, text); },
            field_help(field))
        .type_name("")
        .choices(choices_of(field))
        .group(fmt::format("[{}] (flags override the file)", field.section));
  }
}

void add_study_options(Verb& verb, const std::shared_ptr<StudyOptions>& options, bool needs_config) {
  verb.option("CONFIG", options->config, "configuration file (TOML)").required(needs_config);
  verb.option("--variant", options->variant, "only this [[variant]] of the file").type_name("NAME");
  verb.option("--out", options->out, "folder of the run, or of the variants' runs (default: runs/NAME)")
      .type_name("DIR");
  verb.option("--scale", options->scale, "take the file's overrides [scale.NAME], as in --scale small")
      .type_name("NAME");
  add_field_flags(verb, {options, &options->overrides},
                  [](const Field& field) { return field.name() != "experiment.variant"; });
}

void add_training_options(Verb& verb, const std::shared_ptr<StudyOptions>& options, bool needs_config) {
  add_study_options(verb, options, needs_config);
  verb.flag("--resume", options->resume, "continue (or extend) the run that is there");
  verb.flag("--force", options->force, "replace the run that is there");
}

}  // namespace gradscape
