#pragma once

#include "gradscape/data/dataset.hpp"

namespace gradscape {

/// The regression of the paper's deep linear network (Santurkar et al. 2018, appendix A): x ~ N(0, 1) of `size`
/// entries, targets A·x with one A ~ N(0, deviation²) of `size` × `size` for all samples. Labels are 0. The same on
/// every machine; the first training samples do not depend on how many there are.
Dataset make_linear(std::uint64_t seed, Index size, double deviation, Index train, Index test);

}  // namespace gradscape
