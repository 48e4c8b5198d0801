#pragma once

#include <vector>

#include "gradscape/core/point.hpp"
#include "gradscape/core/types.hpp"

namespace gradscape {

/// cross_entropy: mean over the batch of −log softmax(logits)[label] (torch.nn.CrossEntropyLoss).
/// mean_squared, summed_squared: mean or sum over all N·K elements of (logit − target)², target = one-hot of the label
/// (torch.nn.MSELoss, reduction "mean" and "sum").
enum class Loss { cross_entropy, mean_squared, summed_squared };

/// What the loss of a batch, and its gradient, count in those of a set of which the batch is the part `share`: a mean
/// over samples weighs by it, a summed loss is summed.
inline double weight_in_set(Loss kind, double share) {
  return kind == Loss::summed_squared ? 1.0 : share;
}

struct LossValue {
  double loss = 0;
  Index correct = 0;  // samples whose largest logit (the first of equals) is the label's; 0 of regression
};

/// Loss of logits [N, K] against N labels in [0, K), or against `targets` [N, K] where these are not empty (not
/// cross_entropy). cross_entropy with `smoothing` ε is against the target (1 − ε)·one-hot + ε/K
/// (torch.nn.CrossEntropyLoss, label_smoothing). Computed in double whatever S is. Unless dlogits.data() is null,
/// writes ∂loss/∂logits there.
template <class S>
LossValue evaluate_loss(Loss kind, ConstRows<S> logits, const std::vector<int>& labels, const Matrix<S>& targets,
                        Rows<S> dlogits, double smoothing = 0);

/// λ/2·‖θ‖² over all parameters, in double: weight decay as a part of the loss. Adds λ·θ to `grad` unless that is null.
template <class S>
double add_decay(double lambda, const Point<S>& theta, Vector<S>* grad);

}  // namespace gradscape
