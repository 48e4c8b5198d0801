// The verbs that print what the program says of itself, in the form that others read.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <memory>

#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"

namespace gradscape {

void add_completion(VerbList& verbs, std::function<ProgramHelp()> program) {
  Verb verb = verbs.add("completion", "A script by which bash, zsh or fish complete commands");
  auto shell = std::make_shared<std::string>();
  const auto& shells = completion_shells();
  verb.option("SHELL", *shell, fmt::format("{}", fmt::join(shells, " | "))).required().choices(shells);
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.example("source <(gradscape completion bash)", "in ~/.bashrc; zsh in ~/.zshrc: the same");
  verb.example("gradscape completion fish | source", "in ~/.config/fish/config.fish");
  verb.runs([shell, program = std::move(program)] {
    const auto& known = completion_shells();
    if (std::count(known.begin(), known.end(), *shell) == 0)
      throw UsageError("SHELL", fmt::format("\"{}\" is no shell that is known here", abridge(*shell)),
                       fmt::format("one of: {}", fmt::join(known, ", ")));
    write_output(completion_script(program(), *shell));
  });
}

void add_manual(VerbList& verbs, std::function<ProgramHelp()> program) {
  Verb verb = verbs.add("manual", "The manual page, for man");
  const auto markdown = std::make_shared<bool>(false);
  verb.flag("--markdown", *markdown, "print Markdown instead, as docs/reference.md holds it");
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.note("It holds the help of every verb and every key of the configuration.");
  verb.example("gradscape manual | man -l -", "read it");
  verb.example("gradscape manual > ~/.local/share/man/man1/gradscape.1", "then: man gradscape");
  verb.runs([markdown, program = std::move(program)] {
    write_output(*markdown ? reference_page(program()) : manual_page(program()));
  });
}

}  // namespace gradscape
