#include "gradscape/core/parallel.hpp"

#include "gradscape/core/error.hpp"

namespace gradscape::parallel {

void initialise() {
  // Typical of the processors of the last ten years; any constants would do, as long as they are constants.
  Eigen::setCpuCacheSizes(32 * 1024, 1024 * 1024, 16 * 1024 * 1024);
  Eigen::setNbThreads(1);
}

void set_threads(int threads) {
  check(threads >= 1, "at least one thread");
  omp_set_dynamic(0);
  omp_set_num_threads(threads);
}

int threads() {
  return omp_get_max_threads();
}

}  // namespace gradscape::parallel
