#include "gradscape/data/linear.hpp"

#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"

namespace gradscape {
namespace {

/// Streams of Purpose::synthetic, apart from those of the synthetic images.
constexpr std::uint32_t kMapStream = 16;
constexpr std::uint32_t kTrainStream = 17;
constexpr std::uint32_t kTestStream = 18;

ImageSet make_set(const Matrix<double>& map, std::uint64_t seed, std::uint32_t stream, Index samples) {
  const Index size = map.rows();
  ImageSet set;
  set.shape = {1, 1, size};
  set.classes = static_cast<int>(size);
  set.labels.resize(static_cast<std::size_t>(samples));
  set.as_given = true;
  auto& features = set.pixels.emplace<std::vector<double>>(static_cast<std::size_t>(samples * size));
  set.targets.resize(features.size());
  parallel::for_each(samples, [&](Index n) {
    const RandomSource source(seed, Purpose::synthetic, stream, static_cast<std::uint32_t>(n));
    double* x = features.data() + n * size;
    for (Index i = 0; i < size; ++i) x[i] = source.normal(static_cast<std::uint64_t>(i));
    for (Index row = 0; row < size; ++row) {
      double sum = 0;
      for (Index i = 0; i < size; ++i) sum += map(row, i) * x[i];
      set.targets[static_cast<std::size_t>(n * size + row)] = sum;
    }
  });
  return set;
}

}  // namespace

Dataset make_linear(std::uint64_t seed, Index size, double deviation, Index train, Index test) {
  Matrix<double> map(size, size);
  const RandomSource source(seed, Purpose::synthetic, kMapStream);
  for (Index i = 0; i < map.size(); ++i) map.data()[i] = deviation * source.normal(static_cast<std::uint64_t>(i));
  return {"linear map", make_set(map, seed, kTrainStream, train), make_set(map, seed, kTestStream, test)};
}

}  // namespace gradscape
