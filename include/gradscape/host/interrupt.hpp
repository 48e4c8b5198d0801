#pragma once

#include <string>

#include "gradscape/core/error.hpp"

namespace gradscape {

/// From now on Ctrl-C (SIGINT) only raises a flag, so that work can end at a step's end with everything saved. A second
/// Ctrl-C kills as usual.
void catch_interrupts();

/// The same for SIGTERM, SIGUSR1, SIGUSR2, SIGHUP and SIGXCPU, by which batch systems, terminals and limits say that
/// the process will soon have to end; repeated ones change nothing. SIGHUP stays ignored where it was (nohup). For work
/// that asks interrupted() often enough: it would otherwise exceed its grace period.
void catch_preemption();

/// Whether one of these signals came since.
bool interrupted();

/// The error by which interrupted work ends: "interrupted; ..." with ExitCode::interrupted after Ctrl-C, "pre-empted
/// (SIGTERM); ..." with ExitCode::preempted after the others. The first signal decides. `outcome` says what was saved.
Error interruption(const std::string& where, const std::string& outcome, const std::string& hint);

/// A hook for tests: the moments at which one may want to see a process stopped or killed.
enum class Moment {
  step,      // a step of training is done, or done again
  written,   // a file is whole and synced, under its temporary name
  published  // it has its own name
};

/// Where the environment has GRADSCAPE_TEST_SIGNAL="NUMBER MOMENT N", as in "9 step 4", the process sends itself that
/// signal the Nth time it is told of that moment. Nothing else happens, and without the variable nothing at all.
void reach(Moment moment);

}  // namespace gradscape
