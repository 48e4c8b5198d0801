// What this process has used so far, as `time` would report it.
#pragma once

#include <cstdint>

namespace gradscape {

/// Processor seconds of all threads, in user and system mode.
double cpu_seconds();

/// Largest resident memory in bytes since the last reset_peak_memory(), or since the start.
std::int64_t peak_memory();

/// Starts peak_memory() anew from what is resident now. Where the system does not allow it, the peak stays the
/// process's own, which is never too small.
void reset_peak_memory();

}  // namespace gradscape
