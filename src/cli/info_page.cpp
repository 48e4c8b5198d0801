#include "gradscape/cli/info_page.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>

#include "gradscape/core/number.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/nn/zoo.hpp"

namespace gradscape {
namespace {

using Json = InfoPage::Json;

/// What weight decay contributes, which is part of the loss or beside it.
void tell_decay(InfoPage& page, const Experiment& experiment, const TraceRecord& record) {
  const bool inside = experiment.model.loss_decay > 0;
  const double decay = inside ? experiment.model.loss_decay : experiment.train.weight_decay;
  if (decay <= 0) return;
  const double value = decay / 2 * record.theta_norm * record.theta_norm;
  page.line("weight decay",
            fmt::format("{:.6g} at step {} (decay {} / 2 · squares of all parameters), {} the loss", value, record.step,
                        decay, inside ? "part of" : "not in"),
            {{"weight_decay_loss", value}});
}

}  // namespace

void InfoPage::head(const std::string& text, const Json& members) {
  if (!json_)
    print_out("{}\n", text);
  else if (!members.is_null())
    members_.update(members);
}

void InfoPage::line(const std::string& label, const std::string& text, const Json& members) {
  head(fmt::format("  {:<14} {}", label, text), members);
}

std::string describe_experiment(const Experiment& experiment) {
  const ModelOptions& model = experiment.model;
  const TrainOptions& train = experiment.train;
  std::string text = model.arch;
  if (model.arch == "vgg-a") text += fmt::format(", width {}", model.width);
  if (model.arch == "mlp") text += fmt::format(", hidden [{}]", fmt::join(model.hidden, ", "));
  if (model.arch == kLayersArch)
    text = "network as text";
  else
    text += model.norm == "none" ? ", no norm" : fmt::format(", {} norm", model.norm);
  return text + fmt::format("; {}, lr {} ({}), batch {}, seed {}, {}, {} engine", train.optimizer, train.lr,
                            train.schedule, train.batch_size, train.seed, train.precision, train.engine);
}

InfoPage::Json experiment_members(const Experiment& experiment) {
  Json members = Json::object();
  for (const Field& field : fields())
    std::visit([&](const auto* value) { members[field.section][field.key] = *value; }, field.value(experiment));
  return members;
}

void tell_data(InfoPage& page, const Provenance& origin) {
  page.line("data", fmt::format("{}; fingerprint of the training images {}", origin.data_name, origin.data_fingerprint),
            {{"data", origin.data_name}, {"data_fingerprint", origin.data_fingerprint}});
}

void tell_last(InfoPage& page, const Experiment& experiment, const TraceRecord* step, const TestRecord* test) {
  if (step != nullptr) {
    // Regression has no accuracy.
    const std::string accuracy =
        std::isnan(step->accuracy) ? "" : fmt::format("accuracy {:.1f} % of the batch, ", 100 * step->accuracy);
    page.line(
        "last loss",
        fmt::format("{:.6g} at step {} ({}gradient norm {:.4g})", printable(step->loss), step->step, accuracy,
                    printable(step->grad_norm)),
        {{"last_step",
          {{"step", step->step}, {"loss", step->loss}, {"accuracy", step->accuracy}, {"grad_norm", step->grad_norm}}}});
    tell_decay(page, experiment, *step);
  }
  if (test != nullptr) {
    const bool none = std::isnan(test->loss) && std::isnan(test->accuracy);
    const std::string accuracy =
        std::isnan(test->accuracy) ? "" : fmt::format("accuracy {:.2f} %, ", 100 * test->accuracy);
    page.line("test",
              none ? "there are no test images"
                   : fmt::format("{}loss {:.6g} after {} steps", accuracy, printable(test->loss), test->step),
              {{"last_test", {{"step", test->step}, {"loss", test->loss}, {"accuracy", test->accuracy}}}});
  }
}

}  // namespace gradscape
