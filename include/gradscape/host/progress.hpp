// Progress on standard error: one live line on a terminal, a plain line every few seconds elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace gradscape {

/// Silences all progress (--quiet).
void set_quiet(bool quiet);
bool quiet();

/// A finished fact worth a line on standard error ("checkpoint … written"); nothing under --quiet.
void say(const std::string& line);

/// Counts steps done of a total and estimates the time left from the rate so far. Nothing is printed in the first two
/// seconds, so quick jobs stay silent.
class Progress {
 public:
  Progress(std::string label, std::int64_t total);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of the total are done; `detail` is shown behind ("loss 1.234").
  void update(std::int64_t done, const std::string& detail);

 private:
  using Clock = std::chrono::steady_clock;

  std::string label_;
  std::int64_t total_;
  Clock::time_point start_;
  Clock::time_point last_;
  std::size_t width_ = 0;    // of the live line, to be blanked by a shorter one
  std::string blank_;        // blanks the live line, if there is one; a destructor must not run out of memory for it
  std::int64_t first_ = -1;  // `done` at the first update: what was done before does not count in the rate
};

/// 75 → "1:15", 4000 → "1:06:40".
std::string format_duration(double seconds);

}  // namespace gradscape
