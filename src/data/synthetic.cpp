#include "gradscape/data/synthetic.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numbers>
#include <utility>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"
#include "gradscape/core/rng.hpp"

// A class is a few motifs: striped spots, each with its own orientation, wavelength, size and colours, and with a tint
// that the class's motifs nearly share. An image shows two motifs of its class at random places, phases, angles, sizes
// and contrasts, a weaker one of another class, and all of it on a smooth random background under pixel noise. Nothing
// stays at a fixed pixel, so averages of pixels say little, while features that are local, oriented and independent of
// position say much, as in photographs. The tint is there for networks without
// normalisation: it is the cue meant to be found first.
//
// Measured with PyTorch 1.13, 4096 + 1024 images, SGD, batch 64, seeds 1 and 2, test accuracy in percent after 1 and 6
// epochs. VGG-A at width 0.25 with BN: lr 0.05 68, 63 and 83, 89; lr 0.1 48, 48 and 95, 86. Without BN: lr 0.05 10, 15
// and 22, 29; lr 0.1 11, 15 and 32, 35. MLP 128-128, lr 0.05: 34, 36 and 42, 46. Nearest class mean: 27, 28.
namespace gradscape {
namespace {

constexpr int kClasses = kSynthetic.classes;
constexpr int kMotifsPerClass = 3;
constexpr int kMotifsPerImage = 2;
constexpr int kSide = kSynthetic.shape.height;
constexpr int kChannels = kSynthetic.shape.channels;
constexpr int kPlane = kSide * kSide;
constexpr double kNoiseDeviation = 0.2;

/// Streams of Purpose::synthetic; for the test set the last two are one higher, so that no two samples share an
/// address.
constexpr std::uint32_t kMotifStream = 0;
constexpr std::uint32_t kLabelStream = 1;
constexpr std::uint32_t kSampleStream = 3;

/// Index of the first noise word of a sample; far above the number of its other draws.
constexpr std::uint64_t kNoise = 1 << 16;

using Colour = std::array<double, kChannels>;

struct Motif {
  double orientation = 0;  // radians
  double wavelength = 0;   // pixels
  double radius = 0;       // pixels, standard deviation of the Gaussian envelope
  Colour stripes{};        // amplitude of the wave
  Colour tint{};           // amplitude of the spot under it
};

struct Placement {
  double y = 0;  // centre, pixels
  double x = 0;
  double phase = 0;  // radians
  double turn = 0;   // radians, added to the orientation
  double scale = 1;
  double contrast = 1;
};

struct Canvas {
  std::array<double, kChannels * kPlane> values{};  // [C, H, W]; 0 is mid-grey, ±1 the ends of the byte range
};

/// Numbers of one address, taken one after the other.
class Draws {
 public:
  explicit Draws(const RandomSource& source) : source_(source) {}
  double between(double low, double high) { return low + (high - low) * source_.uniform(next_++); }
  int below(int bound) { return static_cast<int>(source_.below(static_cast<std::uint32_t>(bound), next_++)); }
  double normal() { return source_.normal(next_++); }

  template <std::size_t count>
  std::array<int, count> permutation() {
    std::array<int, count> order{};
    for (std::size_t i = 0; i < count; ++i) order[i] = static_cast<int>(i);
    for (std::size_t i = count - 1; i > 0; --i)
      std::swap(order[i], order[static_cast<std::size_t>(below(static_cast<int>(i) + 1))]);
    return order;
  }

  Colour direction() {
    Colour colour{};
    double square = 0;
    for (double& value : colour) {
      value = normal();
      square += value * value;
    }
    for (double& value : colour) value /= std::sqrt(square);
    return colour;
  }

 private:
  RandomSource source_;
  std::uint64_t next_ = 0;
};

using Motifs = std::array<std::array<Motif, kMotifsPerClass>, kClasses>;

/// Orientations and wavelengths are dealt out, not drawn freely, so that every seed makes a task of about the same
/// difficulty.
Motifs make_motifs(std::uint64_t seed) {
  Motifs motifs;
  std::array<Colour, kClasses> class_tint;
  Draws tints(RandomSource(seed, Purpose::synthetic, kMotifStream, kMotifsPerClass));
  for (Colour& tint : class_tint) tint = tints.direction();
  for (std::uint32_t m = 0; m < kMotifsPerClass; ++m) {
    Draws draws(RandomSource(seed, Purpose::synthetic, kMotifStream, m));
    const auto orientation_of = draws.permutation<kClasses>();
    const auto wavelength_of = draws.permutation<kClasses>();
    for (std::size_t k = 0; k < kClasses; ++k) {
      Motif& motif = motifs[k][m];
      motif.orientation = std::numbers::pi * (orientation_of[k] + draws.between(0.2, 0.8)) / kClasses;
      motif.wavelength = 3.5 + 6.0 * (wavelength_of[k] + draws.between(0.2, 0.8)) / kClasses;
      motif.radius = draws.between(3.5, 5.5);
      motif.stripes = draws.direction();
      const Colour own = draws.direction();
      for (std::size_t c = 0; c < kChannels; ++c) motif.tint[c] = 0.65 * class_tint[k][c] + 0.4 * own[c];
    }
  }
  return motifs;
}

/// One factor of a motif along one axis: with these, a wave under a Gaussian needs no sine per pixel.
struct Axis {
  std::array<double, kSide> envelope{};
  std::array<double, kSide> cosine{};  // both times the envelope
  std::array<double, kSide> sine{};

  Axis(double centre, double frequency, double phase, double radius) {
    for (std::size_t i = 0; i < kSide; ++i) {
      const double offset = static_cast<double>(i) - centre;
      envelope[i] = std::exp(-0.5 * (offset / radius) * (offset / radius));
      cosine[i] = envelope[i] * std::cos(frequency * offset + phase);
      sine[i] = envelope[i] * std::sin(frequency * offset + phase);
    }
  }
};

void paint(const Motif& motif, const Placement& at, Canvas& canvas) {
  const double frequency = 2.0 * std::numbers::pi / (motif.wavelength * at.scale);
  const double angle = motif.orientation + at.turn;
  const double radius = motif.radius * at.scale;
  const Axis across(at.x, frequency * std::cos(angle), at.phase, radius);
  const Axis down(at.y, frequency * std::sin(angle), 0.0, radius);
  for (std::size_t y = 0; y < kSide; ++y)
    for (std::size_t x = 0; x < kSide; ++x) {
      const double wave = down.cosine[y] * across.cosine[x] - down.sine[y] * across.sine[x];
      const double spot = down.envelope[y] * across.envelope[x];
      for (std::size_t c = 0; c < kChannels; ++c)
        canvas.values[c * kPlane + y * kSide + x] += at.contrast * (motif.stripes[c] * wave + motif.tint[c] * spot);
    }
}

/// Random colours at the corners of a coarse grid, bilinear between them.
void paint_background(Draws& draws, Canvas& canvas) {
  constexpr std::size_t kCells = 3;
  for (std::size_t c = 0; c < kChannels; ++c) {
    std::array<std::array<double, kCells + 1>, kCells + 1> corner{};
    const double base = draws.between(-0.35, 0.35);
    for (auto& row : corner)
      for (double& value : row) value = base + draws.between(-0.5, 0.5);
    for (std::size_t y = 0; y < kSide; ++y)
      for (std::size_t x = 0; x < kSide; ++x) {
        const std::size_t row = y * kCells / kSide;
        const std::size_t column = x * kCells / kSide;
        const double v = static_cast<double>(y * kCells) / kSide - static_cast<double>(row);
        const double u = static_cast<double>(x * kCells) / kSide - static_cast<double>(column);
        canvas.values[c * kPlane + y * kSide + x] =
            (1 - v) * ((1 - u) * corner[row][column] + u * corner[row][column + 1]) +
            v * ((1 - u) * corner[row + 1][column] + u * corner[row + 1][column + 1]);
      }
  }
}

Placement draw_placement(Draws& draws, double low_contrast, double high_contrast) {
  Placement at;
  at.y = draws.between(5, kSide - 6);
  at.x = draws.between(5, kSide - 6);
  at.phase = draws.between(0, 2.0 * std::numbers::pi);
  at.turn = draws.between(-0.15, 0.15);
  at.scale = draws.between(0.9, 1.1);
  at.contrast = draws.between(low_contrast, high_contrast);
  return at;
}

void make_sample(const Motifs& motifs, const RandomSource& source, int label, std::uint8_t* pixels) {
  Draws draws(source);
  Canvas canvas;
  paint_background(draws, canvas);

  const int other = (label + 1 + draws.below(kClasses - 1)) % kClasses;
  const int stray = draws.below(kMotifsPerClass);
  paint(motifs[static_cast<std::size_t>(other)][static_cast<std::size_t>(stray)], draw_placement(draws, 0.6, 1.3),
        canvas);
  const auto shown = draws.permutation<kMotifsPerClass>();
  for (std::size_t i = 0; i < kMotifsPerImage; ++i)
    paint(motifs[static_cast<std::size_t>(label)][static_cast<std::size_t>(shown[i])], draw_placement(draws, 0.9, 1.7),
          canvas);

  // Noise: the sum of a word's four bytes is close enough to a normal number (mean 510, standard deviation 147.8).
  for (std::size_t i = 0; i < kChannels * kPlane; i += 4) {
    const auto words = source.words(kNoise + i / 4);
    for (std::size_t j = 0; j < 4; ++j) {
      const std::uint32_t w = words[j];
      const std::uint32_t sum = (w & 255u) + (w >> 8 & 255u) + (w >> 16 & 255u) + (w >> 24);
      const double noise = (static_cast<double>(sum) - 510.0) / 147.8;
      const double value = std::round(127.5 * (1.0 + canvas.values[i + j] + kNoiseDeviation * noise));
      pixels[i + j] = static_cast<std::uint8_t>(std::clamp(value, 0.0, 255.0));
    }
  }
}

/// Every block of ten samples holds each class once, in an order of its own.
std::vector<std::int32_t> make_labels(std::uint64_t seed, std::uint32_t stream, Index count) {
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count));
  for (std::size_t first = 0; first < labels.size(); first += kClasses) {
    Draws draws(RandomSource(seed, Purpose::synthetic, stream, static_cast<std::uint32_t>(first / kClasses)));
    const auto order = draws.permutation<kClasses>();
    for (std::size_t i = 0; i < kClasses && first + i < labels.size(); ++i) labels[first + i] = order[i];
  }
  return labels;
}

ImageSet make_set(std::uint64_t seed, const Motifs& motifs, std::uint32_t set, Index count) {
  check(count >= 0 && count <= std::numeric_limits<std::int32_t>::max(), "number of synthetic images");
  ImageSet images;
  images.shape = kSynthetic.shape;
  images.classes = kClasses;
  images.labels = make_labels(seed, kLabelStream + set, count);
  images.bytes().resize(images.labels.size() * kChannels * kPlane);
  parallel::for_each(count, [&](Index n) {
    const auto i = static_cast<std::size_t>(n);
    const RandomSource source(seed, Purpose::synthetic, kSampleStream + set, static_cast<std::uint32_t>(n));
    make_sample(motifs, source, images.labels[i], images.bytes().data() + i * kChannels * kPlane);
  });
  return images;
}

}  // namespace

Dataset make_synthetic(std::uint64_t seed, Index train_images, Index test_images) {
  const Motifs motifs = make_motifs(seed);
  return {"synthetic", make_set(seed, motifs, 0, train_images), make_set(seed, motifs, 1, test_images)};
}

}  // namespace gradscape
