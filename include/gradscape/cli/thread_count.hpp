// How many threads compute.
#pragma once

#include <string>

namespace gradscape {

/// The number; UsageError naming `where` it was given where it is below 1, or more than any machine takes.
int checked_threads(long threads, const std::string& where);

/// OMP_NUM_THREADS, else SLURM_CPUS_PER_TASK, else all cores.
int default_threads();

}  // namespace gradscape
