#include "gradscape/host/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "gradscape/host/console.hpp"

namespace gradscape {
namespace {

bool quiet_ = false;

/// Seconds of counted steps that make a rate.
constexpr double kEnoughSeconds = 2;

}  // namespace

void set_quiet(bool quiet) {
  quiet_ = quiet;
}
bool quiet() {
  return quiet_;
}

void say(const std::string& line) {
  if (!quiet_) write_error(line + "\n");
}

std::string progress_line(const ProgressFacts& facts, std::size_t columns) {
  const std::string steps = fmt::format("{} {}/{}", facts.unit, facts.done, facts.total);
  const std::string head = facts.label + ": " + steps;
  const double left = static_cast<double>(facts.total - facts.done) / facts.rate.value_or(1);
  const std::string rate = facts.rate ? fmt::format("  {:.3g} {}s/s", *facts.rate, facts.unit) : "";
  const std::string end = facts.rate ? fmt::format("  {} left", format_duration(left)) : "  estimating";
  for (const std::string& line : {head + "  " + facts.detail + rate + end, head + rate + end, head + end})
    if (columns_of(line) <= columns) return line;
  return cut_to_columns(steps + end, columns);
}

Progress::Progress(std::string label, std::int64_t total, std::string unit)
    : label_(std::move(label)), total_(total), unit_(std::move(unit)), next_(Clock::now() + std::chrono::seconds(2)) {}

Progress::~Progress() {
  write_error(blank_);
}

void Progress::update(std::int64_t done, const std::string& detail) {
  if (quiet_) return;
  const auto now = Clock::now();
  if (first_ < 0) {
    first_ = done;
    counted_ = now;
  }
  if (now < next_) return;
  const bool live = isatty(STDERR_FILENO) != 0;
  next_ = now + (live ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000));

  ProgressFacts facts{label_, done, total_, detail, {}, unit_};
  const double elapsed = std::chrono::duration<double>(now - counted_).count();
  if (done > first_ && elapsed >= kEnoughSeconds) facts.rate = static_cast<double>(done - first_) / elapsed;
  if (!live) {
    write_error(progress_line(facts, std::string::npos) + "\n");
    return;
  }
  // A terminal may wrap as soon as its last column is written to.
  const std::size_t room = terminal_columns(STDERR_FILENO) - 1;
  const std::string line = progress_line(facts, room);
  const std::size_t used = columns_of(line);
  const std::size_t over = std::min(std::max(width_, used), room) - used;
  write_error(fmt::format("\r{}{:{}}", line, "", over));
  width_ = used;
  blank_ = fmt::format("\r{:{}}\r", "", used);
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  const auto hours = total / 3600;
  const auto minutes = total / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

std::string format_time(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  if (seconds >= 3.6e6) return fmt::format("{:.0f} h", seconds / 3600);
  if (seconds >= 6000) return fmt::format("{:.3g} h", seconds / 3600);
  if (seconds >= 100) return fmt::format("{:.3g} min", seconds / 60);
  if (seconds >= 0.1 || seconds == 0) return fmt::format("{:.3g} s", seconds);
  return seconds >= 1e-4 ? fmt::format("{:.3g} ms", 1e3 * seconds) : fmt::format("{:.3g} µs", 1e6 * seconds);
}

}  // namespace gradscape
