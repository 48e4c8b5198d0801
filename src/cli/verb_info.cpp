#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>

#include "gradscape/cli/json_text.hpp"
#include "gradscape/cli/network_table.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/extremes.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/exchange/surface_table.hpp"
#include "gradscape/file/dimensions.hpp"
#include "gradscape/file/safetensors.hpp"
#include "gradscape/host/console.hpp"
#include "gradscape/landscape/sweep_survey.hpp"
#include "gradscape/store/digest.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/merge.hpp"
#include "gradscape/study/run_access.hpp"
#include "gradscape/study/run_state.hpp"

namespace gradscape {
namespace {

using Json = nlohmann::ordered_json;
namespace fs = std::filesystem;

/// "vgg-a, width 0.25, batch norm, sgd, lr 0.05, batch 64, float"
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

std::string describe_sweep(const SweepOptions& sweep) {
  std::string text = fmt::format("steps {} to {} every {}, {} [{}], direction {}, {} precision", sweep.first,
                                 sweep.last < 0 ? "the end" : std::to_string(sweep.last), sweep.every,
                                 sweep.step_sizes.empty() ? "multipliers" : "step sizes",
                                 fmt::join(sweep.points(), ", "), sweep.direction, sweep.precision);
  if (sweep.on != "batch")
    text += fmt::format(", loss of {} images of the {} set in {} mode",
                        sweep.on_images == 0 ? "all" : std::to_string(sweep.on_images), sweep.on, sweep.mode);
  return text;
}

/// Where what is found is told: in lines as it comes, or, for --json, in an object that is printed at the end.
class Page {
 public:
  explicit Page(bool json) : json_(json) {}

  bool json() const { return json_; }
  Json& members() { return members_; }

  /// A line of its own, and what it says as members of the object.
  void head(const std::string& text, const Json& members) {
    if (!json_)
      print_out("{}\n", text);
    else if (!members.is_null())  // none
      members_.update(members);
  }
  void line(const std::string& label, const std::string& text, const Json& members) {
    head(fmt::format("  {:<14} {}", label, text), members);
  }

 private:
  bool json_;
  Json members_ = Json::object();
};

/// What describe_experiment() and a configuration's lines say; every key of it.
Json experiment_members(const Experiment& experiment) {
  Json members = Json::object();
  for (const Field& field : fields())
    std::visit([&](const auto* value) { members[field.section][field.key] = *value; }, field.value(experiment));
  return members;
}

/// "2 variants", "2 variants, 3 seeds", "3 seeds", "one run"
std::string describe_runs(const Study& study) {
  std::set<std::string> variants;
  for (const Experiment& run : study.runs) variants.insert(run.experiment.variant);
  std::string text = study.has_variants ? fmt::format("{} variants", variants.size()) : "";
  if (study.has_seeds) text += fmt::format("{}{} seeds", text.empty() ? "" : ", ", study.runs.size() / variants.size());
  return text.empty() ? "one run" : text;
}

void tell_config(Page& page, const std::string& path) {
  const Study study = load_study(path, {});
  page.head(fmt::format("{}: configuration of experiment \"{}\", {}", path, study.name, describe_runs(study)),
            {{"kind", "configuration"}, {"name", study.name}, {"runs", Json::array()}});
  for (const Experiment& run : study.runs) {
    if (page.json()) {
      page.members()["runs"].push_back(
          {{"variant", run.experiment.variant}, {"seed", run.train.seed}, {"configuration", experiment_members(run)}});
      continue;
    }
    if (study.has_variants) page.head(fmt::format("variant \"{}\"", run.experiment.variant), {});
    if (study.has_seeds) page.head(fmt::format("seed {}", run.train.seed), {});
    page.line("model", describe_experiment(run), {});
    page.line("data", run.data.source + (run.data.path.empty() ? "" : " in " + run.data.path), {});
    page.line(
        "length",
        run.train.steps > 0 ? fmt::format("{} steps", run.train.steps) : fmt::format("{} epochs", run.train.epochs),
        {});
    page.line("sweep", describe_sweep(run.sweep), {});
  }
  if (page.json())
    page.members()["networks"] = network_members(study.runs);
  else
    print_networks(study.runs);
}

void tell_data(Page& page, const Provenance& origin) {
  page.line("data", fmt::format("{}; fingerprint of the training images {}", origin.data_name, origin.data_fingerprint),
            {{"data", origin.data_name}, {"data_fingerprint", origin.data_fingerprint}});
}

void tell_origin(Page& page, const h5::File& file, const Provenance& origin) {
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

/// What weight decay contributes, which is part of the loss or beside it.
void tell_decay(Page& page, const Experiment& experiment, const TraceRecord& record) {
  const bool inside = experiment.model.loss_decay > 0;
  const double decay = inside ? experiment.model.loss_decay : experiment.train.weight_decay;
  if (decay <= 0) return;
  const double value = decay / 2 * record.theta_norm * record.theta_norm;
  page.line("weight decay",
            fmt::format("{:.6g} at step {} (decay {} / 2 · squares of all parameters), {} the loss", value, record.step,
                        decay, inside ? "part of" : "not in"),
            {{"weight_decay_loss", value}});
}

void tell_trace(Page& page, const Experiment& experiment, const std::map<std::int64_t, TraceRecord>& steps,
                const std::map<std::int64_t, TestRecord>& tests) {
  if (!steps.empty()) {
    const TraceRecord& last = steps.rbegin()->second;
    // Regression has no accuracy.
    const std::string accuracy =
        std::isnan(last.accuracy) ? "" : fmt::format("accuracy {:.1f} % of the batch, ", 100 * last.accuracy);
    page.line(
        "last loss",
        fmt::format("{:.6g} at step {} ({}gradient norm {:.4g})", printable(last.loss), last.step, accuracy,
                    printable(last.grad_norm)),
        {{"last_step",
          {{"step", last.step}, {"loss", last.loss}, {"accuracy", last.accuracy}, {"grad_norm", last.grad_norm}}}});
    tell_decay(page, experiment, last);
  }
  if (!tests.empty()) {
    const TestRecord& last = tests.rbegin()->second;
    const bool none = std::isnan(last.loss) && std::isnan(last.accuracy);
    const std::string accuracy =
        std::isnan(last.accuracy) ? "" : fmt::format("accuracy {:.2f} %, ", 100 * last.accuracy);
    page.line("test",
              none ? "there are no test images"
                   : fmt::format("{}loss {:.6g} after {} steps", accuracy, printable(last.loss), last.step),
              {{"last_test", {{"step", last.step}, {"loss", last.loss}, {"accuracy", last.accuracy}}}});
  }
}

/// The columns of a grid.
void tell_points(Page& page, const std::vector<double>& points, const std::string& long_name,
                 const std::string& direction, const std::string& precision) {
  const bool sizes = long_name.starts_with("step size");
  page.line(sizes ? "step sizes" : "multipliers",
            fmt::format("[{}] along {}, {} precision", fmt::join(points, ", "), direction, precision),
            {{sizes ? "step_sizes" : "multipliers", points}, {"direction", direction}, {"probe_precision", precision}});
}

/// A file that unites the grids of several seeds.
void tell_seeds(Page& page, const h5::File& file, const std::vector<std::int64_t>& seeds) {
  const auto steps = file.read<std::int64_t>("/step");
  page.line("seeds", fmt::format("{}", fmt::join(seeds, ", ")), {{"seeds", seeds}});
  page.line("steps", fmt::format("{} probed: {}", steps.size(), describe_steps(steps)), {{"steps", steps}});
  tell_points(page, file.read<double>("/alpha"), file.text_attribute("/alpha", "long_name"),
              file.text_attribute("/", "direction"), file.text_attribute("/", "probe_precision"));
}

void tell_grid(Page& page, const std::string& path) {
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
void tell_table(Page& page, const h5::File& file) {
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

void tell_surface(Page& page, const h5::File& file) {
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

void tell_h5(Page& page, const std::string& path) {
  const h5::File file = open_published(path, "");
  const Provenance origin = read_provenance(file);
  page.head(fmt::format("{}: {}", path, origin.file_type), {{"kind", origin.file_type}});
  if (origin.file_type == "checkpoint") {
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
  } else if (origin.file_type == "trace") {
    std::map<std::int64_t, TraceRecord> steps;
    std::map<std::int64_t, TestRecord> tests;
    const Trace trace = read_trace(path);
    for (const auto& record : trace.steps) steps.emplace(record.step, record);
    for (const auto& record : trace.tests) tests.emplace(record.step, record);
    if (!steps.empty())
      page.line("steps", fmt::format("{} to {}", steps.begin()->first, steps.rbegin()->first),
                {{"first_step", steps.begin()->first}});
    tell_trace(page, parse_experiment(origin.config, path), steps, tests);
  } else if (origin.file_type == "grid") {
    tell_grid(page, path);
  } else if (origin.file_type == "surface") {
    tell_surface(page, file);
  } else if (file.exists("/step")) {
    tell_table(page, file);
  }
  if (!origin.config.empty())  // a surface of another program has none
    tell_origin(page, file, origin);
}

/// What is printed after a derived file's name.
std::string stale_note(const std::string& path) {
  const auto because = stale_because(path);
  return because ? fmt::format(" (stale: it {}; renew it with: {})", *because, renewal(path)) : "";
}

/// A derived file for --json: null where there is none.
Json merged_member(const std::string& path) {
  if (!fs::exists(path)) return nullptr;
  const auto because = stale_because(path);
  return {{"file", path}, {"stale_because", because ? Json(*because) : Json()}};
}

void tell_run(Page& page, const RunDirectory& directory) {
  const Experiment experiment = read_stored_experiment(directory);
  const auto checkpoints = directory.checkpoint_steps();
  const std::string& variant = experiment.experiment.variant;
  page.head(fmt::format("{}: run of experiment \"{}\"{}", directory.root(), experiment.experiment.name,
                        variant.empty() ? "" : ", variant \"" + variant + "\""),
            {{"directory", directory.root()}, {"name", experiment.experiment.name}, {"variant", variant}});
  page.line("model", describe_experiment(experiment), {{"configuration", experiment_members(experiment)}});
  if (checkpoints.empty())
    return page.line("steps done", "none: no checkpoint yet", {{"step", nullptr}, {"checkpoints", checkpoints}});
  const CheckpointInfo info = last_checkpoint(directory);
  page.line("steps done",
            fmt::format("{} of {} ({} per epoch), {} checkpoints", info.step, info.total_steps, info.steps_per_epoch,
                        checkpoints.size()),
            {{"step", info.step},
             {"total_steps", info.total_steps},
             {"steps_per_epoch", info.steps_per_epoch},
             {"checkpoints", checkpoints}});
  page.line("parameters", fmt::format("{}", info.parameters), {{"parameters", info.parameters}});
  tell_data(page, read_provenance(open_published(directory.checkpoint_path(info.step), "checkpoint")));
  const WholeTrace trace = read_whole_trace(directory, 0, info.step);
  tell_trace(page, experiment, trace.steps, trace.tests);
  std::set<std::string> told;
  Json surveys = Json::array(), others = Json::array();
  for (const SurveyId& survey : directory.surveys()) {
    const std::string merged = directory.merged_path(survey);
    const std::size_t shards = directory.shard_files(survey).size();
    told.insert(merged);
    surveys.push_back(
        {{"kind", survey.kind}, {"name", survey.name}, {"shards", shards}, {"merged", merged_member(merged)}});
    page.line(survey.kind + " " + survey.name,
              fmt::format("{} shards, {}", shards,
                          fs::exists(merged) ? "merged in " + merged + stale_note(merged) : "not merged"),
              {});
  }
  for (const std::string& path : directory.derived_files()) {  // of older programs, which kept no shards of analyses
    if (told.contains(path)) continue;
    others.push_back(merged_member(path));
    page.line("also", path + stale_note(path), {});
  }
  page.members().update({{"surveys", surveys}, {"other_files", others}});
}

/// The experiments that a path holds, or the one of its file.
std::vector<Experiment> experiments_of(const std::string& path) {
  if (path.ends_with(".toml")) return load_study(path, {}).runs;
  if (!fs::is_directory(path)) return {parse_stored_experiment(read_provenance(open_published(path, "")).config, path)};
  std::vector<Experiment> experiments;
  for (const RunDirectory& run : find_runs(path)) experiments.push_back(read_stored_experiment(run));
  return experiments;
}

/// Weights of any program: what an import would meet.
void tell_safetensors(Page& page, const std::string& path) {
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

void tell_runs(Page& page, const std::string& path) {
  std::vector<Experiment> experiments;
  Json runs = Json::array();
  for (const RunDirectory& run : find_runs(path)) {
    Page one(page.json());
    tell_run(one, run);
    runs.push_back(one.members());
    experiments.push_back(read_stored_experiment(run));
  }
  try {
    if (page.json())
      page.members().update({{"kind", "runs"}, {"runs", runs}, {"networks", network_members(experiments)}});
    else
      print_networks(experiments);
  } catch (const UsageError& error) {
    throw Error(path, std::string("holds a configuration of no network: ") + error.what());
  }
}

void tell(Page& page, const std::string& path) {
  if (fs::is_directory(path))
    tell_runs(page, path);
  else if (path.ends_with(".toml"))
    tell_config(page, path);
  else if (path.ends_with(".safetensors"))
    tell_safetensors(page, path);
  else
    tell_h5(page, path);
}

void print_info(const std::string& path, bool json) {
  Page page(json);
  page.members()["path"] = path;
  tell(page, path);
  if (json) write_output(json_text(page.members()));
}

}  // namespace

void add_info(VerbList& verbs) {
  Verb verb = verbs.add("info", "What a file, a configuration or a run holds, in words");
  auto path = std::make_shared<std::string>();
  auto digest = std::make_shared<bool>(false);
  auto network = std::make_shared<bool>(false);
  auto json = std::make_shared<bool>(false);
  verb.option("PATH", *path, "configuration, HDF5 or safetensors file, run directory, or folder of runs").required();
  verb.flag("--digest", *digest, "print one hash of all data (wall times left out) instead");
  verb.flag("--network", *network, "print the network as text for model.layers instead");
  verb.flag("--json", *json, "print everything as JSON (docs/format.md)");
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.example("gradscape info CONFIG", "variants and their networks, before anything is trained");
  verb.example("gradscape info runs/NAME/bn/landscape.h5", "steps, multipliers, cells, origin");
  verb.runs([path, digest, network, json] {
    if (!fs::exists(*path)) throw UsageError(*path, "does not exist");
    if (*digest && *network) throw UsageError("--digest", "does not go with --network", "each prints one thing");
    if (*json && (*digest || *network))
      throw UsageError("--json", fmt::format("does not go with {}", *digest ? "--digest" : "--network"),
                       "without it --json holds networks too");
    if (*network)
      print_network_texts(experiments_of(*path));
    else if (*digest)
      print_out("{}\n", fs::is_directory(*path) ? directory_digest(*path) : content_digest(*path));
    else
      print_info(*path, *json);
  });
}

}  // namespace gradscape
