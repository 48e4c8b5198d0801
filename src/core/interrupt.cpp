#include "gradscape/core/interrupt.hpp"

#include <atomic>
#include <csignal>

namespace gradscape {
namespace {

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

}  // namespace

void catch_interrupts() {
  handle(SIGINT, static_cast<int>(SA_RESETHAND | SA_RESTART));
}

void catch_preemption() {
  handle(SIGTERM, SA_RESTART);
  handle(SIGUSR1, SA_RESTART);
}

bool interrupted() {
  return first_signal != 0;
}

Error interruption(const std::string& where, const std::string& outcome, const std::string& hint) {
  const int signal = first_signal;
  const bool preempted = signal == SIGTERM || signal == SIGUSR1;
  std::string what = "interrupted";
  if (preempted) what = signal == SIGTERM ? "pre-empted (SIGTERM)" : "pre-empted (SIGUSR1)";
  if (!outcome.empty()) what += "; " + outcome;
  return Error(where, what, hint, preempted ? ExitCode::preempted : ExitCode::interrupted);
}

}  // namespace gradscape
