#include "gradscape/landscape/shift.hpp"

#include <algorithm>
#include <cmath>

#include "gradscape/core/vector_math.hpp"

namespace gradscape {

Table shift_schema(const Dimension& layer) {
  const std::vector<std::string> cell = {"step", "layer"};
  return {"shift",
          {},
          {step_dimension(), layer},
          {{"grad_norm", "loss/weight", "L2 norm of the layer's gradient G", cell},
           {"shift_norm", "loss/weight", "L2 norm of G - G', G' with the layers before at the next step", cell},
           {"shift_cos", "1", "cosine between G and G'", cell},
           {"lr", "1", "learning rate", {"step"}},
           {"train_loss", "loss", "loss at theta", {"step"}}}};
}

template <class S>
ShiftAnalysis<S>::ShiftAnalysis(TrainingProcess<S>& process, const std::vector<std::string>& layers)
    : process_(process), chosen_(choose_blocks(process.network().blocks(), layers, "--layers")) {}

template <class S>
Table ShiftAnalysis<S>::begin() const {
  return shift_schema(layer_dimension(process_.network().blocks(), chosen_));
}

template <class S>
void ShiftAnalysis<S>::add(const StepView<S>& step, Table& table) {
  table.dimensions.front().values.push_back(static_cast<double>(step.record.step));
  table.variable("lr").values.push_back(step.record.lr);
  table.variable("train_loss").values.push_back(step.record.loss);
  theta_ = step.theta;
  Network<S>& network = process_.network();
  const auto& blocks = network.blocks();
  Index moved = 0;  // elements of theta_ that are those of the next step
  for (const std::size_t i : chosen_) {
    const Index begin = blocks[i].begin, size = blocks[i].end - begin;
    std::copy_n(step.theta_next.data() + moved, begin - moved, theta_.data() + moved);
    moved = begin;
    network.evaluate(theta_, step.buffers, step.batch, step.pass, {.grad = &grad_});
    const Comparison both = compare<S>(grad_.segment(begin, size), step.grad.segment(begin, size));
    const double norm_before = norm(step.grad, begin, begin + size);
    table.variable("grad_norm").values.push_back(norm_before);
    table.variable("shift_norm").values.push_back(both.distance);
    table.variable("shift_cos").values.push_back(both.dot / (both.norm * norm_before));
  }
}

template class ShiftAnalysis<float>;
template class ShiftAnalysis<double>;

}  // namespace gradscape
