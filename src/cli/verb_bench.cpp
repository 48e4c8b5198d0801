#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/study_options.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/cost/bench_job.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/isa.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/host/version.hpp"

namespace gradscape {
namespace {

using Json = nlohmann::ordered_json;

struct BenchCommand {
  std::string config;  // empty: the defaults
  std::string variant;
  Overrides overrides;
  BenchRequest request;
  bool json = false;
};

/// Fields that the benchmark sets itself or has no use for: they are no flags, and a file's values do not count.
bool is_offered(const Field& field) {
  static const std::vector<std::string> unused = {"data.source",
                                                  "data.path",
                                                  "data.train_limit",
                                                  "data.test_limit",
                                                  "data.synthetic_seed",
                                                  "data.synthetic_train",
                                                  "data.synthetic_test",
                                                  "data.linear_size",
                                                  "data.linear_deviation",
                                                  "train.steps",
                                                  "train.epochs",
                                                  "train.checkpoint_every",
                                                  "train.checkpoint_segments",
                                                  "train.checkpoint_gb",
                                                  "train.test_every",
                                                  "sweep.kind",
                                                  "sweep.steps",
                                                  "sweep.also",
                                                  "sweep.every",
                                                  "sweep.first",
                                                  "sweep.last"};
  return field.section != "experiment" && std::find(unused.begin(), unused.end(), field.name()) == unused.end();
}

/// The one experiment that the command means.
Experiment choose_experiment(const BenchCommand& command) {
  if (command.config.empty()) {
    if (!command.variant.empty())
      throw UsageError("--variant", "there is no configuration file to have variants", "bench CONFIG --variant NAME");
    Experiment experiment;
    experiment.train.steps = 1;     // a length is asked of every experiment; the benchmark sets its own
    experiment.model.arch.clear();  // not given
    apply_overrides(command.overrides, experiment);
    resolve(experiment);
    check_experiment(experiment, "bench");
    return experiment;
  }
  const Study study = load_study(command.config, command.overrides);
  const auto runs = choose_variants(study, command.config, command.variant);
  if (runs.size() == 1) return runs.front();
  std::vector<std::string> names;
  for (const Experiment& run : runs)
    if (names.empty() || names.back() != run.experiment.variant) names.push_back(run.experiment.variant);
  if (names.size() == 1) return runs.front();  // whose seeds cost the same
  throw UsageError(command.config, "has several variants, and bench measures one",
                   fmt::format("--variant NAME, of: {}", abridge(fmt::format("{}", fmt::join(names, ", ")))));
}

Json to_json(const Timing& timing) {
  return {{"median", timing.median}, {"min", timing.min}, {"max", timing.max}};
}

Json to_json(const BenchRow& row, const std::vector<FmaPeak>& peaks) {
  Json json = {{"seconds", to_json(row.seconds)}};
  if (row.flops == 0) return json;
  json["flops"] = row.flops;
  json["gflops"] = row.gflops();
  for (const FmaPeak& peak : peaks) json["share_of_peak"][peak.isa] = row.gflops() / peak.gflops;
  return json;
}

Json to_json(const Experiment& experiment, const BenchRequest& request, const BenchResult& result) {
  const BuildInfo& build = build_info();
  Json json;
  json["program"] = {{"version", build.version},
                     {"git_revision", build.git_revision},
                     {"compiler", build.compiler},
                     {"flags", build.flags}};
  json["cpu"] = {{"name", result.cpu.name},
                 {"family", result.cpu.family},
                 {"model", result.cpu.model},
                 {"avx512", result.cpu.avx512}};
  json["threads"] = result.threads;
  json["isa"] = selected_isa() == Isa::avx512 ? "avx512" : "avx2";
  json["load_before"] = result.load_before;
  for (const FmaPeak& peak : result.peaks) json["fma_peak_gflops"][peak.isa] = peak.gflops;
  for (const Field& field : fields())
    if (is_offered(field))
      std::visit([&](const auto* value) { json["configuration"][field.name()] = *value; }, field.value(experiment));
  json["parameters"] = result.parameters;
  json["forward_flops_per_image"] = result.forward_flops;
  json["repetitions"] = request.repetitions;
  json["forward"] = to_json(result.forward, result.peaks);
  json["forward_backward"] = to_json(result.forward_backward, result.peaks);
  json["probed_step"] = to_json(result.probed_step, result.peaks);
  json["training_step"] = to_json(result.training_step, result.peaks);
  json["probes"] = to_json(result.probes, result.peaks);
  json["storing"] = to_json(result.storing, result.peaks);
  for (const BenchLayer& layer : result.layers)
    json["layers"].push_back({{"name", layer.name},
                              {"forward", to_json(layer.forward, result.peaks)},
                              {"backward", to_json(layer.backward, result.peaks)}});
  return json;
}

std::string isa_name(const FmaPeak& peak) {
  return peak.isa == "avx512" ? "AVX-512" : "AVX2";
}

/// "  12.3", or blanks where nothing was counted.
std::string gflops_text(const BenchRow& row) {
  return row.flops == 0 ? fmt::format("{:>10}", "") : fmt::format("{:10.1f}", row.gflops());
}

void print_row(const std::string& indent, const BenchRow& row, const std::vector<FmaPeak>& peaks) {
  std::string line = fmt::format("{:22}{:>12}{:>12}{:>12}{}", indent + row.name, format_time(row.seconds.median),
                                 format_time(row.seconds.min), format_time(row.seconds.max), gflops_text(row));
  for (const FmaPeak& peak : peaks)
    if (row.flops > 0) line += fmt::format("{:11.1f} %", 100 * row.gflops() / peak.gflops);
  print_out("{}\n", line);
}

void print_layers(const BenchResult& result) {
  double total = 0;
  for (const BenchLayer& layer : result.layers) total += layer.forward.seconds.median + layer.backward.seconds.median;
  print_out("\n{:30}{:>12}{:>10}{:>12}{:>10}{:>10}\n", "layer", "forward", "GFLOP/s", "backward", "GFLOP/s", "of time");
  for (const BenchLayer& layer : result.layers) {
    const double forward = layer.forward.seconds.median;
    const double backward = layer.backward.seconds.median;
    print_out("{:30}{:>12}{}{:>12}{}{:8.1f} %\n", layer.name, format_time(forward), gflops_text(layer.forward),
              format_time(backward), gflops_text(layer.backward), 100 * (forward + backward) / total);
  }
}

void print_table(const Experiment& experiment, const BenchRequest& request, const BenchResult& result) {
  const ModelOptions& model = experiment.model;
  std::vector<std::string> peaks;
  for (const FmaPeak& peak : result.peaks) peaks.push_back(fmt::format("{} {:.1f}", isa_name(peak), peak.gflops));
  print_out("{}, {} thread{}, load {:.2f}\n", result.cpu.text(), result.threads, result.threads == 1 ? "" : "s",
            result.load_before);
  print_out("peak of fused multiply-adds in {}, measured now: {} GFLOP/s\n", experiment.train.precision,
            fmt::join(peaks, ", "));
  print_out("{}, norm {}, batch {}: {} parameters, {:.1f} MFLOP per image forward; {} probe{} per step\n", model.arch,
            model.norm, experiment.train.batch_size, result.parameters, result.forward_flops / 1e6,
            experiment.sweep.points().size(), experiment.sweep.points().size() == 1 ? "" : "s");
  print_out("\n{:22}{:>12}{:>12}{:>12}{:>10}", fmt::format("of {} repetitions", request.repetitions), "median", "min",
            "max", "GFLOP/s");
  for (const FmaPeak& peak : result.peaks) print_out("{:>13}", "of " + isa_name(peak));
  print_out("\n");
  print_row("", result.forward, result.peaks);
  print_row("", result.forward_backward, result.peaks);
  print_row("", result.probed_step, result.peaks);
  print_row("  ", result.training_step, result.peaks);
  print_row("  ", result.probes, result.peaks);
  print_row("  ", result.storing, result.peaks);
  if (!result.layers.empty()) print_layers(result);
}

}  // namespace

void add_bench(VerbList& verbs) {
  Verb verb = verbs.add("bench", "What a step costs here, in time and GFLOP/s");
  auto command = std::make_shared<BenchCommand>();
  verb.option("CONFIG", command->config,
              "configuration file (TOML) to start from (default: the defaults of --help-all)");
  verb.option("--variant", command->variant, "which [[variant]] of the file").type_name("NAME");
  verb.number(
          "--repetitions",
          [command](int repetitions) {
            if (repetitions < 1)
              throw UsageError("--repetitions", fmt::format("{} measure nothing", repetitions), "1 or more");
            command->request.repetitions = repetitions;
          },
          "timed repetitions, after a warm-up (default: 5)")
      .type_name("N");
  verb.flag("--per-layer", command->request.layers, "each layer's times too");
  verb.flag("--json", command->json, "print one JSON object with every number");
  add_field_flags(verb, {command, &command->overrides}, is_offered);
  verb.note(
      "Forward, backward and a probed step on synthetic images, beside the processor's peak of multiply-adds, which is "
      "measured in the same call.");
  verb.example("gradscape bench --norm batch --batch-size 128 --threads 2", "VGG-A with batch norm");
  verb.example("gradscape bench CONFIG --variant bn --per-layer", "where the time goes");
  verb.runs([command] {
    const Experiment experiment = choose_experiment(*command);
    const BenchResult result = bench(experiment, command->request);
    if (command->json)
      write_output(json_text(to_json(experiment, command->request, result)));
    else
      print_table(experiment, command->request, result);
  });
}

}  // namespace gradscape
