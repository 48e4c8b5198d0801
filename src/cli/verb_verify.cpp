#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/file/folder.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/store/digest.hpp"
#include "gradscape/study/run_state.hpp"
#include "gradscape/study/verify_job.hpp"

namespace gradscape {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

struct VerifyCommand {
  std::string directory;
  std::string data_path;
  std::int64_t cells = 4;
  bool json = false;
};

/// Files beside the runs, as those that unite several: their checksums.
void check_loose_files(const std::string& folder, std::vector<std::string>& problems) {
  for (const std::string& name : names_in(folder)) {
    const std::string path = folder + "/" + name;
    if (fs::is_directory(path) && !RunDirectory(path).holds_run()) check_loose_files(path, problems);
    if (!fs::is_regular_file(path) || !name.ends_with(".h5") || name.front() == '.') continue;
    try {
      check_content(path);
      require_fresh(path);
    } catch (const Error& error) {
      problems.emplace_back(error.what());
    }
  }
}

void verify(const VerifyCommand& command) {
  if (command.cells < 0)
    throw UsageError("--cells", fmt::format("{} cells cannot be recomputed", command.cells), "0 or more");
  std::vector<std::string> problems;
  const auto runs = find_runs(command.directory);
  if (!RunDirectory(command.directory).holds_run()) check_loose_files(command.directory, problems);
  Json reports = Json::array();
  for (const RunDirectory& run : runs) {
    const Verification found = verify_run(run, command.data_path, command.cells);
    reports.push_back({{"directory", run.root()},
                       {"files", found.files},
                       {"cells", found.cells},
                       {"stored_cells", found.stored_cells},
                       {"problems", found.problems}});
    if (!command.json)
      print_out("{}: {} files read, {} of {} cells recomputed: {}\n", run.root(), found.files, found.cells,
                found.stored_cells,
                found.problems.empty() ? "all right" : fmt::format("{} problems", found.problems.size()));
    problems.insert(problems.end(), found.problems.begin(), found.problems.end());
  }
  if (command.json)
    write_output(json_text(Json{{"all_right", problems.empty()}, {"problems", problems}, {"runs", reports}}));
  if (problems.empty()) return;
  std::string text;
  for (const std::string& problem : problems) text += "\n" + problem;
  throw Error(command.directory,
              fmt::format("{} problem{}:{}", problems.size(), problems.size() == 1 ? "" : "s", text));
}

}  // namespace

void add_verify(VerbList& verbs) {
  Verb verb = verbs.add("verify", "Check every file of a run, recompute some of its cells");
  const auto command = std::make_shared<VerifyCommand>();
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--cells", command->cells, "cells of each run to recompute").shows_default().type_name("N");
  verb.option("--data.path", command->data_path, "where the data lies now, if it was moved").type_name("DIR");
  verb.flag("--json", command->json, "print what was found as JSON (docs/format.md)");
  verb.note("Cells are drawn at random, and have to come out bit for bit.");
  verb.example("gradscape verify runs/NAME", "every run there; code 1 where anything is wrong");
  verb.runs([command] { verify(*command); });
}

}  // namespace gradscape
