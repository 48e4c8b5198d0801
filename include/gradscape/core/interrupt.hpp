#pragma once

namespace gradscape {

/// From now on Ctrl-C (SIGINT) only raises a flag, so that work can end at a step's end with everything saved. A second
/// Ctrl-C kills as usual.
void catch_interrupts();

/// Whether Ctrl-C was pressed since.
bool interrupted();

}  // namespace gradscape
