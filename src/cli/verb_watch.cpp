// How runs get on, redrawn in place on a terminal.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string_view>
#include <thread>

#include "gradscape/cli/verbs.hpp"
#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/study/run_view.hpp"

namespace gradscape {
namespace {

using Clock = std::chrono::steady_clock;

struct WatchCommand {
  std::string directory;
  std::string name = "main";
  std::int64_t every = 2;  // seconds
  bool once = false;
};

/// "[######------]"
std::string bar(double share, std::size_t width) {
  const auto full = static_cast<std::size_t>(std::clamp(share, 0.0, 1.0) * static_cast<double>(width));
  return fmt::format("[{:#<{}}{:->{}}]", "", full, "", width - full);
}

/// "complete", "training", "trained": surveys are open, "stopped": nobody is at it.
std::string state_of(const RunView& view) {
  const RunReport& run = view.report;
  if (run.complete()) return "complete";
  if (view.trainer) return "training";
  return run.total >= 0 && run.trained >= run.total ? "trained" : "stopped";
}

std::string steps_text(const RunReport& run) {
  return run.total < 0 ? fmt::format("{} steps", run.trained) : fmt::format("{} of {} steps", run.trained, run.total);
}

std::string number(double value) {
  return std::isfinite(value) ? fmt::format("{:.4g}", value) : "not finite";
}

/// What was measured last: "loss 0.3457 at step 399", "test 81.2 %", "band 0.31 to 1.24 at step 390".
std::vector<std::string> measured(const RunView& view) {
  std::vector<std::string> parts;
  if (view.last_step)
    parts.push_back(fmt::format("loss {} at step {}", number(view.last_step->loss), view.last_step->step));
  if (view.last_test && !std::isnan(view.last_test->accuracy))  // regression has none
    parts.push_back(fmt::format("test {:.1f} %", 100 * view.last_test->accuracy));
  if (view.band)
    parts.push_back(
        fmt::format("band {} to {} at step {}", number(view.band->min), number(view.band->max), view.band->step));
  return parts;
}

/// What is done of its surveys, and how long all will take: "sweep 4 of 8 segments, 1 partial", "12.3 steps/s".
std::vector<std::string> work(const RunView& view) {
  std::vector<std::string> parts;
  for (const SurveyReport& survey : view.report.surveys) {
    if (survey.segments.empty()) continue;
    std::string text =
        fmt::format("{}{} {} of {} segments", survey.id.kind, survey.id.name == "main" ? "" : " " + survey.id.name,
                    survey.count(SegmentState::done), survey.segments.size());
    if (const auto partial = survey.count(SegmentState::partial); partial > 0)
      text += fmt::format(", {} partial", partial);
    parts.push_back(text);
  }
  if (view.rate && view.trainer) parts.push_back(fmt::format("{:.3g} steps/s", *view.rate));
  if (view.left) {
    parts.push_back(fmt::format("about {} left", format_time(*view.left)));
  } else if (const auto& left = view.report.surveys.front().left; left && *left > 0 && state_of(view) == "trained") {
    parts.push_back(fmt::format("about {} left", format_time(*left)));
  }
  std::size_t damaged = view.report.problems.size();
  for (const SurveyReport& survey : view.report.surveys)
    damaged += static_cast<std::size_t>(survey.count(SegmentState::damaged));
  if (damaged > 0) parts.push_back(fmt::format("{} damaged: gradscape status tells", damaged));
  return parts;
}

/// A run in lines of a terminal.
std::vector<std::string> block(const RunView& view) {
  const RunReport& run = view.report;
  const double share = run.total > 0 ? static_cast<double>(run.trained) / static_cast<double>(run.total) : 0;
  std::vector<std::string> lines = {fmt::format("{}: {}", run.directory.root(), state_of(view)),
                                    fmt::format("  {} {:3.0f} %  {}", bar(share, 24), 100 * share, steps_text(run))};
  if (const auto parts = measured(view); !parts.empty()) lines.push_back(fmt::format("  {}", fmt::join(parts, ", ")));
  if (const auto parts = work(view); !parts.empty()) lines.push_back(fmt::format("  {}", fmt::join(parts, ", ")));
  return lines;
}

/// A run in one line.
std::string line(const RunView& view) {
  std::string text = fmt::format("{}: {}, {}", view.report.directory.root(), state_of(view), steps_text(view.report));
  for (const auto& parts : {measured(view), work(view)})
    for (const std::string& part : parts) text += ", " + part;
  return text;
}

/// Whether lines can be written over; the escape codes for it are no colours, so NO_COLOR does not matter.
bool can_redraw() {
  const char* terminal = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) != 0 && terminal != nullptr && std::string_view(terminal) != "dumb";
}

/// What stands on the terminal, to be written over.
class Screen {
 public:
  /// Runs that are not complete come first where not all have room.
  void draw(std::vector<RunView> views) {
    const std::size_t columns = terminal_columns(STDOUT_FILENO) - 1,
                      room = std::max<std::size_t>(3, terminal_lines(STDOUT_FILENO)) - 2;
    std::size_t wanted = 0;
    for (const RunView& view : views) wanted += block(view).size();
    if (wanted > room)
      std::stable_partition(views.begin(), views.end(), [](const RunView& view) { return !view.report.complete(); });
    std::string text = drawn_ > 0 ? fmt::format("\x1b[{}A\r", drawn_) : "";
    drawn_ = 0;
    std::size_t shown = 0;
    for (const RunView& view : views) {
      const auto lines = block(view);
      if (drawn_ + lines.size() > room && shown > 0) break;
      for (const std::string& one : lines) text += cut_to_columns(one, columns) + "\x1b[K\n";
      drawn_ += lines.size();
      ++shown;
    }
    if (shown < views.size()) {
      text += fmt::format("and {} more\x1b[K\n", views.size() - shown);
      ++drawn_;
    }
    write_output(text + "\x1b[J");
    flush_output();
  }

 private:
  std::size_t drawn_ = 0;  // lines
};

/// Sleeps until `end`, or a signal.
void wait_until(Clock::time_point end, const std::string& place) {
  while (Clock::now() < end) {
    if (interrupted()) throw interruption(place, "the run goes on without its viewer", "");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

void watch(const WatchCommand& command) {
  if (command.every < 1 || command.every > 86400)
    throw UsageError("--every", fmt::format("{} s is no interval to look at", command.every), "1 to 86400");
  require_folder_name("--name", "sweep", command.name);
  const bool live = can_redraw() && !command.once;
  const bool one_run = RunDirectory(command.directory).holds_run();
  Screen screen;
  std::vector<std::string> told;  // lines printed last
  while (true) {
    const auto begin = Clock::now();
    std::vector<RunView> views;
    for (const RunDirectory& run : find_runs(command.directory))
      views.push_back(view_run(run, {"sweep", command.name}));
    if (live) {
      screen.draw(views);
    } else {
      std::vector<std::string> lines;
      for (const RunView& view : views) {
        lines.push_back(line(view));
        if (std::find(told.begin(), told.end(), lines.back()) == told.end()) print_out("{}\n", lines.back());
      }
      flush_output();
      told = lines;
    }
    // Who goes on to the next run of a study, which is not there yet, holds the last.
    const bool complete = std::all_of(views.begin(), views.end(), [&](const RunView& view) {
      return view.report.complete() && (one_run || !view.trainer);
    });
    if (command.once || complete) return;
    // A look at long runs takes time, and much of a shared disk: it takes at most a tenth of it.
    const auto took = Clock::now() - begin;
    wait_until(begin + std::max<Clock::duration>(std::chrono::seconds(command.every), 10 * took), command.directory);
  }
}

}  // namespace

void add_watch(VerbList& verbs) {
  Verb verb = verbs.add("watch", "How far runs are, live: loss, band, rate, time left");
  const auto command = std::make_shared<WatchCommand>();
  verb.option("RUN_DIR", command->directory, "a run, or a folder of runs").required();
  verb.option("--name", command->name, "name of the sweep whose band is shown").type_name("NAME").shows_default();
  verb.option("--every", command->every, "seconds between two looks, at least").type_name("N").shows_default();
  verb.flag("--once", command->once, "look once, a line for each run");
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.note(
      "Reads files only, so it tells what was written last: loss at a checkpoint, band at a segment's end. Ends when "
      "all "
      "is complete, or by Ctrl-C (code 130); the runs go on. Where output is no terminal, it prints what has changed.");
  verb.example("gradscape watch runs/NAME", "every run there");
  verb.example("gradscape watch runs/NAME --once", "for scripts; gradscape status --json says more");
  verb.runs([command] { watch(*command); });
}

}  // namespace gradscape
