#pragma once

namespace gradscape {

/// Parses the command line and runs the verb. Returns the exit code: 0 done, 1 run-time failure, 2 usage, 130 Ctrl-C.
/// Every error ends here, as a message on standard error.
int run_command_line(int argc, char** argv);

}  // namespace gradscape
