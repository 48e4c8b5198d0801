#include "gradscape/host/interrupt.hpp"

#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace gradscape {
namespace {

struct Signal {
  int number;
  const char* name;
};

/// By which a process is told that it will soon have to end. HUP: its terminal or session is gone; XCPU: the soft limit
/// of processor time is reached.
constexpr Signal kPreemptions[] = {
    {SIGTERM, "SIGTERM"}, {SIGUSR1, "SIGUSR1"}, {SIGUSR2, "SIGUSR2"}, {SIGHUP, "SIGHUP"}, {SIGXCPU, "SIGXCPU"}};

std::atomic<int> first_signal = 0;
static_assert(std::atomic<int>::is_always_lock_free, "a signal handler may set it");

void remember(int signal) {
  int none = 0;
  first_signal.compare_exchange_strong(none, signal);
}

void handle(int signal, int flags) {
  struct sigaction action = {};
  action.sa_handler = remember;
  action.sa_flags = flags;
  sigaction(signal, &action, nullptr);
}

bool is_ignored(int signal) {
  struct sigaction action = {};
  return sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void catch_interrupts() {
  handle(SIGINT, static_cast<int>(SA_RESETHAND | SA_RESTART));
}

void catch_preemption() {
  for (const Signal& signal : kPreemptions)
    if (signal.number != SIGHUP || !is_ignored(SIGHUP)) handle(signal.number, SA_RESTART);
}

bool interrupted() {
  return first_signal != 0;
}

Error interruption(const std::string& where, const std::string& outcome, const std::string& hint) {
  std::string what = "interrupted";
  ExitCode code = ExitCode::interrupted;
  for (const Signal& signal : kPreemptions)
    if (signal.number == first_signal) {
      what = std::string("pre-empted (") + signal.name + ")";
      code = ExitCode::preempted;
    }
  if (!outcome.empty()) what += "; " + outcome;
  return Error(where, what, hint, code);
}

void reach(Moment moment) {
  static const char* const wanted = std::getenv("GRADSCAPE_TEST_SIGNAL");
  if (wanted == nullptr) return;
  static constexpr std::string_view kNames[] = {"step", "written", "published"};
  static std::atomic<int> reached = 0;
  int number = 0, count = 0;
  char name[16] = "";
  if (std::sscanf(wanted, "%d %15s %d", &number, name, &count) == 3 && kNames[static_cast<int>(moment)] == name &&
      ++reached == count)
    std::raise(number);
}

}  // namespace gradscape
