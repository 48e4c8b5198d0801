#include "gradscape/cli/info_file.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "gradscape/config/study.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/extremes.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/exchange/surface_table.hpp"
#include "gradscape/file/dimensions.hpp"
#include "gradscape/file/safetensors.hpp"
#include "gradscape/landscape/surface_lines.hpp"
#include "gradscape/landscape/sweep_survey.hpp"
#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/merge.hpp"

namespace gradscape {
namespace {

using Json = InfoPage::Json;

void tell_origin(InfoPage& page, const h5::File& file, const Provenance& origin) {
  const Experiment experiment = parse_experiment(origin.config, file.path());
  page.line("experiment", origin.variant.empty() ? origin.name : origin.name + ", variant " + origin.variant,
            {{"name", origin.name}, {"variant", origin.variant}});
  page.line("model", describe_experiment(experiment), {{"configuration", experiment_members(experiment)}});
  tell_data(page, origin);
  page.line("written by",
            fmt::format("gradscape {} ({}), {}", file.text_attribute("/", "program_version"),
                        file.text_attribute("/", "git_revision"), file.text_attribute("/", "compiler")),
            {{"program_version", file.text_attribute("/", "program_version")},
             {"git_revision", file.text_attribute("/", "git_revision")},
             {"compiler", file.text_attribute("/", "compiler")}});
}

/// The columns of a grid.
void tell_points(InfoPage& page, const std::vector<double>& points, const std::string& long_name,
                 const std::string& direction, const std::string& precision) {
  const bool sizes = long_name.starts_with("step size");
  page.line(sizes ? "step sizes" : "multipliers",
            fmt::format("[{}] along {}, {} precision", fmt::join(points, ", "), direction, precision),
            {{sizes ? "step_sizes" : "multipliers", points}, {"direction", direction}, {"probe_precision", precision}});
}

/// A file that unites the grids of several seeds.
void tell_seeds(InfoPage& page, const h5::File& file, const std::vector<std::int64_t>& seeds) {
  const auto steps = file.read<std::int64_t>("/step");
  page.line("seeds", fmt::format("{}", fmt::join(seeds, ", ")), {{"seeds", seeds}});
  page.line("steps", fmt::format("{} probed: {}", steps.size(), describe_steps(steps)), {{"steps", steps}});
  tell_points(page, file.read<double>("/alpha"), file.text_attribute("/alpha", "long_name"),
              file.text_attribute("/", "direction"), file.text_attribute("/", "probe_precision"));
}

void tell_grid(InfoPage& page, const std::string& path) {
  const h5::File file = open_published(path, "grid");
  if (file.exists("/seed")) return tell_seeds(page, file, file.read<std::int64_t>("/seed"));
  const Table grid = read_table(path, sweep_schema());
  check_sweep(grid, path);
  std::vector<std::int64_t> steps;
  Index finite = 0, not_finite = 0, below_noise = 0, not_done = 0;
  Extremes floor;
  double loss_width = 0, difference_width = 0;
  Index counted = 0;
  for (std::size_t row = 0; row < grid.size(); ++row) {
    const SweepRecord record = record_at(grid, row);
    steps.push_back(record.step);
    for (const Cell& cell : record.cells) {
      const bool noise = cell.status == CellStatus::below_noise;
      below_noise += noise ? 1 : 0;
      if (cell.status == CellStatus::not_done)
        ++not_done;
      else
        ++(noise || cell.status == CellStatus::ok ? finite : not_finite);
    }
    floor.add(record.noise_floor);
    const Bands bands = make_bands(record.cells, grid.dimension("alpha").values, record.train_grad_norm);
    const double loss = bands.loss_max - bands.loss_min;
    const double difference = bands.grad_diff_max - bands.grad_diff_min;
    if (!std::isfinite(loss) || !std::isfinite(difference)) continue;
    loss_width += loss;
    difference_width += difference;
    ++counted;
  }
  page.line("steps", fmt::format("{} probed: {}", steps.size(), describe_steps(steps)), {{"steps", steps}});
  tell_points(page, grid.dimension("alpha").values, grid.dimension("alpha").long_name, grid.attributes.at("direction"),
              grid.attributes.at("probe_precision"));
  page.line("cells",
            fmt::format("{} finite, {} non-finite, {} below noise{}", finite, not_finite, below_noise,
                        not_done > 0 ? fmt::format(", {} not done", not_done) : ""),
            {{"cells",
              {{"finite", finite}, {"non_finite", not_finite}, {"below_noise", below_noise}, {"not_done", not_done}}}});
  if (floor.min <= floor.max)
    page.line("noise floor", fmt::format("{:.3g} to {:.3g} of the gradient's norm", floor.min, floor.max),
              {{"noise_floor", {floor.min, floor.max}}});
  if (counted > 0)
    page.line("mean widths",
              fmt::format("loss band {:.4g}, gradient-difference band {:.4g} (over {} finite steps)",
                          loss_width / static_cast<double>(counted), difference_width / static_cast<double>(counted),
                          counted),
              {{"mean_widths",
                {{"loss", loss_width / static_cast<double>(counted)},
                 {"grad_diff", difference_width / static_cast<double>(counted)},
                 {"steps", counted}}}});
}

/// The file of an analysis, or of a band across runs.
void tell_table(InfoPage& page, const h5::File& file) {
  const auto steps = file.read<std::int64_t>("/step");
  page.line("steps", fmt::format("{}: {}", steps.size(), describe_steps(steps)), {{"steps", steps}});
  if (file.exists("/layer")) {
    std::vector<std::string> layers = read_labels(file, "layer");
    const auto numbers = file.read<std::int64_t>("/layer");
    for (std::size_t i = 0; i < layers.size(); ++i) layers[i] = fmt::format("{} {}", numbers[i], layers[i]);
    page.line("layers", fmt::format("{}", fmt::join(layers, ", ")), {{"layers", layers}});
  }
  if (!file.exists("/lr") || !file.exists("/test_step")) return;
  const auto rates = file.read<double>("/lr"), accuracy = file.read<double>("/test_accuracy");
  const std::size_t tests = rates.empty() ? 0 : accuracy.size() / rates.size();
  Json last = Json::array();
  for (std::size_t i = 0; i < rates.size() && tests > 0; ++i) {
    last.push_back({{"lr", rates[i]}, {"test_accuracy", accuracy[(i + 1) * tests - 1]}});
    page.line(fmt::format("lr {}", rates[i]),
              fmt::format("last test accuracy {:.2f} %", 100 * accuracy[(i + 1) * tests - 1]), {{"rates", last}});
  }
}

/// "21 values of x from -1 to 1"
std::string describe_axis(const Dimension& axis) {
  return fmt::format("{} values of {} from {} to {}", axis.size(), axis.name, axis.values.front(), axis.values.back());
}

/// What of a line has a barrier and a monotonicity: the prefix of their names, and what they are of.
constexpr std::pair<const char*, const char*> kLineNumbers[] = {
    {"", "loss"}, {"error_", "error"}, {"test_", "test loss"}, {"test_error_", "test error"}};

/// Where along each axis the centre's loss has doubled, of each repeat; "-" where it has not.
void tell_doubling(InfoPage& page, const Table& table) {
  const Variable* centre = table.find("centre_loss");
  if (centre == nullptr) return;
  const std::vector<double>& loss = table.variable("loss").values;
  const bool plane = table.variable("loss").dimensions.size() == 3;
  const std::vector<double> none = {0};
  const std::vector<double>& xs = table.dimension("x").values;
  const std::vector<double>& ys = plane ? table.dimension("y").values : none;
  std::string text;
  Json all = Json::object();
  const auto along = [&](const char* name, const std::vector<double>& axis, const std::vector<double>& other,
                         std::size_t step, std::size_t other_step) {
    const auto zero = std::find(other.begin(), other.end(), 0.0);
    if (zero == other.end()) return;
    const std::size_t begin = static_cast<std::size_t>(zero - other.begin()) * other_step;
    text += fmt::format("{}{}", text.empty() ? "" : "; ", name);
    all[name] = Json::array();
    for (std::size_t repeat = 0; repeat < table.size(); ++repeat) {
      std::vector<double> line;
      for (std::size_t i = 0; i < axis.size(); ++i)
        line.push_back(loss[repeat * xs.size() * ys.size() + begin + i * step]);
      const DoublingRange range = find_doubling(axis, line, centre->values[repeat]);
      const auto side = [](double place) { return std::isnan(place) ? "-" : fmt::format("{:.3g}", place); };
      text += fmt::format("{} {}{}{}", repeat == 0 ? "" : ",", axis.front() < 0 ? side(range.below) : "",
                          axis.front() < 0 && axis.back() > 0 ? " and " : "", axis.back() > 0 ? side(range.above) : "");
      all[name].push_back({range.below, range.above});
    }
  };
  along("x", xs, ys, 1, xs.size());
  if (plane) along("y", ys, xs, xs.size(), 1);
  if (!text.empty()) page.line("doubled", "the centre's loss at " + text, {{"doubled", all}});
}

void tell_surface(InfoPage& page, const h5::File& file) {
  const Table table = read_surface(file.path());
  const auto axis = [&](const std::string& name) {
    const std::string attribute = name + "_direction";
    const std::string along = file.has_attribute("/", attribute) ? file.text_attribute("/", attribute) : "";
    page.line(name, describe_axis(table.dimension(name)) + (along.empty() ? "" : " along " + along),
              {{name, {{"values", table.dimension(name).values}, {"direction", along}}}});
  };
  axis("x");
  if (table.variable("loss").dimensions.size() == 3) axis("y");
  std::vector<std::size_t> counts(table.variable("status").flags.size());
  Extremes loss;
  for (std::size_t i = 0; i < table.variable("loss").values.size(); ++i) {
    ++counts.at(static_cast<std::size_t>(table.variable("status").values[i]));
    loss.add(table.variable("loss").values[i]);
  }
  page.line("cells",
            fmt::format("{} finite, {} non-finite, {} not done, in {} repeat{}", counts[1], counts[2], counts[0],
                        table.size(), table.size() == 1 ? "" : "s"),
            {{"cells", {{"finite", counts[1]}, {"non_finite", counts[2]}, {"not_done", counts[0]}}},
             {"repeats", table.size()}});
  if (loss.min <= loss.max)
    page.line("loss", fmt::format("{:.6g} to {:.6g}", loss.min, loss.max), {{"loss", {loss.min, loss.max}}});
  if (const Variable* centre = table.find("centre_loss"))
    page.line("centre", fmt::format("loss {:.6g}", printable(centre->values.front())),
              {{"centre_loss", centre->values.front()}});
  tell_doubling(page, table);
  for (const char* number : {"barrier", "monotonicity"}) {
    std::string text;
    Json all = Json::object();
    for (const auto& [prefix, of] : kLineNumbers) {
      const std::string name = std::string(prefix) + number;
      if (!file.exists("/" + name)) continue;
      const auto values = file.read<double>("/" + name);  // of each repeat
      text += fmt::format("{}{} {:.3g}", text.empty() ? "" : ", ", of, fmt::join(values, " "));
      all[name] = values;
    }
    if (!text.empty()) page.line(number, text, all);
  }
}

void tell_checkpoint(InfoPage& page, const h5::File& file) {
  const CheckpointInfo info = read_checkpoint_info(file);
  page.line("step", fmt::format("{} of {} ({} per epoch)", info.step, info.total_steps, info.steps_per_epoch),
            {{"step", info.step}, {"total_steps", info.total_steps}, {"steps_per_epoch", info.steps_per_epoch}});
  page.line("parameters", fmt::format("{}, fingerprint {}", info.parameters, info.theta_fingerprint),
            {{"parameters", info.parameters}, {"theta_fingerprint", info.theta_fingerprint}});
  std::vector<std::string> slots = file.members("/optimizer");
  page.line("optimiser", slots.empty() ? "no state" : fmt::format("{}", fmt::join(slots, ", ")),
            {{"optimizer_state", slots}});
  page.line("pixels",
            fmt::format("(x - mean)/deviation, bytes as x/255; mean [{}], deviation [{}]",
                        fmt::join(info.standardisation.mean, ", "), fmt::join(info.standardisation.deviation, ", ")),
            {{"pixel_mean", info.standardisation.mean}, {"pixel_deviation", info.standardisation.deviation}});
}

void tell_trace_file(InfoPage& page, const std::string& path, const Experiment& experiment) {
  const Trace trace = read_trace(path);
  if (!trace.steps.empty())
    page.line("steps", fmt::format("{} to {}", trace.steps.front().step, trace.steps.back().step),
              {{"first_step", trace.steps.front().step}});
  tell_last(page, experiment, trace.steps.empty() ? nullptr : &trace.steps.back(),
            trace.tests.empty() ? nullptr : &trace.tests.back());
}

}  // namespace

void tell_h5(InfoPage& page, const std::string& path) {
  const h5::File file = open_published(path, "");
  const Provenance origin = read_provenance(file);
  page.head(fmt::format("{}: {}", path, origin.file_type), {{"kind", origin.file_type}});
  if (origin.file_type == "checkpoint")
    tell_checkpoint(page, file);
  else if (origin.file_type == "trace")
    tell_trace_file(page, path, parse_experiment(origin.config, path));
  else if (origin.file_type == "grid")
    tell_grid(page, path);
  else if (origin.file_type == "surface")
    tell_surface(page, file);
  else if (file.exists("/step"))
    tell_table(page, file);
  if (!origin.config.empty())  // a surface of another program has none
    tell_origin(page, file, origin);
}

void tell_safetensors(InfoPage& page, const std::string& path) {
  const SafetensorsFile file(path);
  std::size_t widest = 0;
  Index values = 0;
  for (const StoredTensor& tensor : file.tensors()) widest = std::max(widest, tensor.name.size());
  page.head(fmt::format("{}: safetensors, {} tensors", path, file.tensors().size()),
            {{"kind", "safetensors"}, {"metadata", Json::object()}, {"tensors", Json::array()}});
  for (const auto& [key, value] : file.metadata()) {
    if (page.json()) page.members()["metadata"][key] = value;
    page.line(key, abridge(value), Json::object());
  }
  for (const StoredTensor& tensor : file.tensors()) {
    Index size = 1;
    for (const Index extent : tensor.shape) size *= extent;
    values += size;
    if (page.json())
      page.members()["tensors"].push_back({{"name", tensor.name}, {"type", tensor.type}, {"shape", tensor.shape}});
    page.head(fmt::format("  {:<{}}  {:<4} [{}]", tensor.name, widest, tensor.type, fmt::join(tensor.shape, ", ")),
              Json::object());
  }
  page.line("values", fmt::format("{}", values), {{"values", values}});
}

}  // namespace gradscape
