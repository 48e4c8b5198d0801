#include "gradscape/host/version.hpp"

#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <hdf5.h>

#include <Eigen/Core>

#include "git_revision.h"

namespace gradscape {

const BuildInfo& build_info() {
  static const BuildInfo info = {
      GRADSCAPE_VERSION, GRADSCAPE_GIT_REVISION, GRADSCAPE_COMPILER, GRADSCAPE_FLAGS,
      fmt::format("Eigen {}.{}.{}, HDF5 {}.{}.{}, glibc {}", EIGEN_WORLD_VERSION, EIGEN_MAJOR_VERSION,
                  EIGEN_MINOR_VERSION, H5_VERS_MAJOR, H5_VERS_MINOR, H5_VERS_RELEASE, gnu_get_libc_version())};
  return info;
}

}  // namespace gradscape
