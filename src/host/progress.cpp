#include "gradscape/host/progress.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>

#include "gradscape/host/console.hpp"

namespace gradscape {
namespace {

bool quiet_ = false;

bool on_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) != 0;
  return terminal;
}

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

Progress::Progress(std::string label, std::int64_t total)
    : label_(std::move(label)), total_(total), start_(Clock::now()), last_(start_ + std::chrono::seconds(2)) {}

Progress::~Progress() {
  write_error(blank_);
}

void Progress::update(std::int64_t done, const std::string& detail) {
  if (quiet_) return;
  if (first_ < 0) first_ = done - 1;
  const auto now = Clock::now();
  if (now < last_) return;
  last_ = now + (on_terminal() ? std::chrono::milliseconds(200) : std::chrono::milliseconds(5000));

  const double elapsed = std::chrono::duration<double>(now - start_).count();
  const double rate = static_cast<double>(done - first_) / elapsed;
  const double left = static_cast<double>(total_ - done) / rate;
  const std::string line = fmt::format("{}: step {}/{}  {}  {:.3g} steps/s  {} left", label_, done, total_, detail,
                                       rate, format_duration(left));
  if (on_terminal()) {
    write_error(fmt::format("\r{:{}}", line, width_));
    width_ = line.size();
    blank_ = fmt::format("\r{:{}}\r", "", width_);
  } else {
    write_error(line + "\n");
  }
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto total = static_cast<std::int64_t>(std::llround(seconds));
  const auto hours = total / 3600;
  const auto minutes = total / 60 % 60;
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60);
  return fmt::format("{}:{:02}", minutes, total % 60);
}

}  // namespace gradscape
