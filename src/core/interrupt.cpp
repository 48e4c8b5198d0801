#include "gradscape/core/interrupt.hpp"

#include <csignal>

namespace gradscape {
namespace {

volatile std::sig_atomic_t flag = 0;

void raise_flag(int) {
  flag = 1;
}

}  // namespace

void catch_interrupts() {
  struct sigaction action = {};
  action.sa_handler = raise_flag;
  action.sa_flags = static_cast<int>(SA_RESETHAND | SA_RESTART);
  sigaction(SIGINT, &action, nullptr);
}

bool interrupted() {
  return flag != 0;
}

}  // namespace gradscape
