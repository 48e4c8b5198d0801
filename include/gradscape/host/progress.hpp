// Progress on standard error: one live line on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace gradscape {

/// Silences all progress (--quiet).
void set_quiet(bool quiet);
bool quiet();

/// A finished fact worth a line on standard error ("checkpoint … written"); nothing under --quiet.
void say(const std::string& line);

/// What a line of progress tells.
struct ProgressFacts {
  std::string label;
  std::int64_t done = 0;
  std::int64_t total = 0;
  std::string detail;          // "loss 1.234"
  std::optional<double> rate;  // steps per second, once there is one
  std::string unit = "step";   // what is counted
};

/// "train bn: step 12/100  loss 1.234  8.5 steps/s  0:10 left"; "estimating" where there is no rate. In fewer than its
/// columns it goes without the detail, then without the rate, then without the label, and is cut if all is not enough.
std::string progress_line(const ProgressFacts& facts, std::size_t columns);

/// Counts steps done of a total and estimates the time left. What comes before the first update's end does not count:
/// loading, the set-up of a first step, the noise floor measured there. Once steps have taken two seconds from then on
/// there is a rate. Nothing is printed in the first two seconds, so quick jobs stay silent. On a terminal a line is cut
/// to its width at that moment: one that wraps cannot be written over.
class Progress {
 public:
  Progress(std::string label, std::int64_t total, std::string unit = "step");
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of the total are done; `detail` is shown behind ("loss 1.234").
  void update(std::int64_t done, const std::string& detail);

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  std::int64_t total_;
  std::string unit_;
  Clock::time_point next_;     // no line before
  Clock::time_point counted_;  // end of the first update, from where on the rate counts
  std::int64_t first_ = -1;    // `done` at that moment
  std::size_t width_ = 0;      // columns of the live line, to be blanked by a shorter one
  std::string blank_;          // blanks the live line, if there is one; a destructor must not run out of memory for it
};

/// 75 → "1:15", 4000 → "1:06:40".
std::string format_duration(double seconds);

/// In the unit that suits, with three digits: "12.3 ms", "75 s", "12.5 min", "3.2 h".
std::string format_time(double seconds);

}  // namespace gradscape
