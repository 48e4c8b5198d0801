// Times of a network's forward and backward pass: ForwardBackward/<norm>/<batch size>. Threads: OMP_NUM_THREADS.
// peer_forward_backward.py sets them beside PyTorch's.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <cmath>
#include <memory>
#include <string>

#include "gradscape/core/parallel.hpp"
#include "gradscape/nn/zoo.hpp"

namespace gradscape {
namespace {

constexpr FeatureShape kImage{32, 32, 3};
constexpr Index kClasses = 10;

/// VGG-A at full width in train mode, with what one pass needs. Pixels are noise of the size that standardised ones
/// have.
class ForwardBackward {
 public:
  ForwardBackward(const std::string& norm, Index samples) {
    ModelOptions options;
    options.norm = norm;
    network_ = make_network<float>(options, kImage, kClasses);
    theta_ = network_->initial_parameters(Init::xavier_normal, 1);
    buffers_ = network_->initial_buffers();
    batch_.images = Matrix<float>::Random(samples * kImage.pixels(), kImage.channels);
    for (Index sample = 0; sample < samples; ++sample) {
      batch_.labels.push_back(static_cast<int>(sample % kClasses));
      batch_.indices.push_back(static_cast<std::int32_t>(sample));
    }
  }

  Evaluation run() { return network_->evaluate(theta_, buffers_, batch_, Pass{}, &grad_, &new_buffers_); }

 private:
  std::unique_ptr<Network<float>> network_;
  Vector<float> theta_;
  Vector<float> buffers_;
  Batch<float> batch_;
  Vector<float> grad_;
  Vector<float> new_buffers_;
};

/// The network is made, and its memory touched, on first use: repetitions then time the pass alone.
void add_benchmark(const std::string& norm, Index samples) {
  auto cache = std::make_shared<std::unique_ptr<ForwardBackward>>();
  const auto body = [cache, norm, samples](benchmark::State& state) {
    if (!*cache) {
      *cache = std::make_unique<ForwardBackward>(norm, samples);
      if (!std::isfinite((*cache)->run().loss)) state.SkipWithError("the loss is not finite");
    }
    for (auto _ : state) benchmark::DoNotOptimize((*cache)->run());
    state.SetItemsProcessed(state.iterations() * samples);
  };
  benchmark::RegisterBenchmark(fmt::format("ForwardBackward/{}/{}", norm, samples).c_str(), body)
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime();
}

}  // namespace
}  // namespace gradscape

int main(int argc, char** argv) {
  gradscape::parallel::initialise();
  for (const std::string norm : {"none", "batch"})
    for (const gradscape::Index samples : {1, 32, 128}) {
      if (norm == "batch" && samples == 1) continue;  // batch norm of a 1×1 image needs two samples
      gradscape::add_benchmark(norm, samples);
    }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("gradscape_threads", std::to_string(gradscape::parallel::threads()));
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
