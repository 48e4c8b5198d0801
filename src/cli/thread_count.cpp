#include "gradscape/cli/thread_count.hpp"

#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// More threads than this are a mistake, which the system might answer by ending the process.
int most_threads() {
  return std::max(1024, 4 * omp_get_num_procs());
}

/// A positive whole number in an environment variable, or the first of a list ("2,1", as OpenMP has it); 0 where there
/// is none.
int environment_threads(const char* variable) {
  const char* text = std::getenv(variable);
  if (text == nullptr) return 0;
  const long threads = std::strtol(text, nullptr, 10);
  return threads > 0 ? checked_threads(threads, variable) : 0;
}

}  // namespace

int checked_threads(long threads, const std::string& where) {
  if (threads < 1) throw UsageError(where, fmt::format("{} threads cannot compute", threads), "1 or more");
  if (threads > most_threads())
    throw UsageError(where, fmt::format("{} threads are too many", threads),
                     fmt::format("at most {} here, which has {} cores", most_threads(), omp_get_num_procs()));
  return static_cast<int>(threads);
}

int default_threads() {
  if (const int threads = environment_threads("OMP_NUM_THREADS")) return threads;
  if (const int threads = environment_threads("SLURM_CPUS_PER_TASK")) return threads;
  return omp_get_num_procs();
}

}  // namespace gradscape
