// What each op makes of the shapes of its inputs, and what it says where it does not take them.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "gradscape/nn/model_graph.hpp"

namespace gradscape {

/// A remedy for a node that does not take its input: the hint's own, or one that only the whole graph can give.
enum class Cure { told, larger_images, other_groups };

/// Why an op does not take its inputs.
struct Misfit {
  std::string what;
  std::string hint = "";
  Cure cure = Cure::told;
};

/// What becomes of the inputs: a shape, or why there is none.
struct Outcome {
  FeatureShape shape;
  std::optional<Misfit> misfit = {};
};

/// How many inputs an op takes: at least, and at most.
struct Arity {
  std::size_t least = 1;
  std::size_t most = 1;
};
Arity arity(const Op& op);

/// The shape of an op's value; `inputs`: as many as arity() says.
Outcome outcome_of(const Op& op, std::span<const FeatureShape> inputs);

/// Elements of a value or a tensor: what is counted stays far below 2^63.
inline constexpr double kMostElements = 1e15;
double elements(FeatureShape shape);

/// The shape of a convolution's or a pooling's value, where its window fits.
FeatureShape convolved(const ConvOp& op, FeatureShape in);
FeatureShape pooled(const PoolOp& op, FeatureShape in);

}  // namespace gradscape
