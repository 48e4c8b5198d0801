#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <set>

#include "gradscape/cli/network_table.hpp"
#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/extremes.hpp"
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

void print_line(const std::string& label, const std::string& text) {
  print_out("  {:<14} {}\n", label, text);
}

/// "2 variants", "2 variants, 3 seeds", "3 seeds", "one run"
std::string describe_runs(const Study& study) {
  std::set<std::string> variants;
  for (const Experiment& run : study.runs) variants.insert(run.experiment.variant);
  std::string text = study.has_variants ? fmt::format("{} variants", variants.size()) : "";
  if (study.has_seeds) text += fmt::format("{}{} seeds", text.empty() ? "" : ", ", study.runs.size() / variants.size());
  return text.empty() ? "one run" : text;
}

void print_config(const std::string& path) {
  const Study study = load_study(path, {});
  print_out("{}: configuration of experiment \"{}\", {}\n", path, study.name, describe_runs(study));
  for (const Experiment& run : study.runs) {
    if (study.has_variants) print_out("variant \"{}\"\n", run.experiment.variant);
    if (study.has_seeds) print_out("seed {}\n", run.train.seed);
    print_line("model", describe_experiment(run));
    print_line("data", run.data.source + (run.data.path.empty() ? "" : " in " + run.data.path));
    print_line("length", run.train.steps > 0 ? fmt::format("{} steps", run.train.steps)
                                             : fmt::format("{} epochs", run.train.epochs));
    print_line("sweep", describe_sweep(run.sweep));
  }
  print_networks(study.runs);
}

void print_data(const Provenance& origin) {
  print_line("data",
             fmt::format("{}; fingerprint of the training images {}", origin.data_name, origin.data_fingerprint));
}

void print_origin(const h5::File& file, const Provenance& origin) {
  const Experiment experiment = parse_experiment(origin.config, file.path());
  print_line("experiment", origin.variant.empty() ? origin.name : origin.name + ", variant " + origin.variant);
  print_line("model", describe_experiment(experiment));
  print_data(origin);
  print_line("written by", fmt::format("gradscape {} ({}), {}", file.text_attribute("/", "program_version"),
                                       file.text_attribute("/", "git_revision"), file.text_attribute("/", "compiler")));
}

/// What weight decay contributes, which is part of the loss or beside it.
void print_decay(const Experiment& experiment, const TraceRecord& record) {
  const bool inside = experiment.model.loss_decay > 0;
  const double decay = inside ? experiment.model.loss_decay : experiment.train.weight_decay;
  if (decay > 0)
    print_line("weight decay", fmt::format("{:.6g} at step {} (decay {} / 2 · squares of all parameters), {} the loss",
                                           decay / 2 * record.theta_norm * record.theta_norm, record.step, decay,
                                           inside ? "part of" : "not in"));
}

void print_trace(const Experiment& experiment, const std::map<std::int64_t, TraceRecord>& steps,
                 const std::map<std::int64_t, TestRecord>& tests) {
  if (!steps.empty()) {
    const TraceRecord& last = steps.rbegin()->second;
    // Regression has no accuracy.
    const std::string accuracy =
        std::isnan(last.accuracy) ? "" : fmt::format("accuracy {:.1f} % of the batch, ", 100 * last.accuracy);
    print_line("last loss", fmt::format("{:.6g} at step {} ({}gradient norm {:.4g})", last.loss, last.step, accuracy,
                                        last.grad_norm));
    print_decay(experiment, last);
  }
  if (!tests.empty()) {
    const TestRecord& last = tests.rbegin()->second;
    if (std::isnan(last.loss) && std::isnan(last.accuracy))
      print_line("test", "there are no test images");
    else
      print_line("test",
                 fmt::format("{}loss {:.6g} after {} steps",
                             std::isnan(last.accuracy) ? "" : fmt::format("accuracy {:.2f} %, ", 100 * last.accuracy),
                             last.loss, last.step));
  }
}

/// The columns of a grid.
void print_points(const std::vector<double>& points, const std::string& long_name, const std::string& direction,
                  const std::string& precision) {
  print_line(long_name.starts_with("step size") ? "step sizes" : "multipliers",
             fmt::format("[{}] along {}, {} precision", fmt::join(points, ", "), direction, precision));
}

/// A file that unites the grids of several seeds.
void print_seeds(const h5::File& file, const std::vector<std::int64_t>& seeds) {
  const auto steps = file.read<std::int64_t>("/step");
  print_line("seeds", fmt::format("{}", fmt::join(seeds, ", ")));
  print_line("steps", fmt::format("{} probed: {}", steps.size(), describe_steps(steps)));
  print_points(file.read<double>("/alpha"), file.text_attribute("/alpha", "long_name"),
               file.text_attribute("/", "direction"), file.text_attribute("/", "probe_precision"));
}

void print_grid(const std::string& path) {
  const h5::File file = open_published(path, "grid");
  if (file.exists("/seed")) return print_seeds(file, file.read<std::int64_t>("/seed"));
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
  print_line("steps", fmt::format("{} probed: {}", steps.size(), describe_steps(steps)));
  print_points(grid.dimension("alpha").values, grid.dimension("alpha").long_name, grid.attributes.at("direction"),
               grid.attributes.at("probe_precision"));
  print_line("cells", fmt::format("{} finite, {} non-finite, {} below noise{}", finite, not_finite, below_noise,
                                  not_done > 0 ? fmt::format(", {} not done", not_done) : ""));
  if (floor.min <= floor.max)
    print_line("noise floor", fmt::format("{:.3g} to {:.3g} of the gradient's norm", floor.min, floor.max));
  if (counted > 0)
    print_line("mean widths", fmt::format("loss band {:.4g}, gradient-difference band {:.4g} (over {} finite steps)",
                                          loss_width / static_cast<double>(counted),
                                          difference_width / static_cast<double>(counted), counted));
}

/// The file of an analysis, or of a band across runs.
void print_table(const h5::File& file) {
  const auto steps = file.read<std::int64_t>("/step");
  print_line("steps", fmt::format("{}: {}", steps.size(), describe_steps(steps)));
  if (file.exists("/layer")) {
    std::vector<std::string> layers = read_labels(file, "layer");
    const auto numbers = file.read<std::int64_t>("/layer");
    for (std::size_t i = 0; i < layers.size(); ++i) layers[i] = fmt::format("{} {}", numbers[i], layers[i]);
    print_line("layers", fmt::format("{}", fmt::join(layers, ", ")));
  }
  if (!file.exists("/lr") || !file.exists("/test_step")) return;
  const auto rates = file.read<double>("/lr"), accuracy = file.read<double>("/test_accuracy");
  const std::size_t tests = rates.empty() ? 0 : accuracy.size() / rates.size();
  for (std::size_t i = 0; i < rates.size() && tests > 0; ++i)
    print_line(fmt::format("lr {}", rates[i]),
               fmt::format("last test accuracy {:.2f} %", 100 * accuracy[(i + 1) * tests - 1]));
}

/// "21 values of x from -1 to 1"
std::string describe_axis(const Dimension& axis) {
  return fmt::format("{} values of {} from {} to {}", axis.size(), axis.name, axis.values.front(), axis.values.back());
}

void print_surface(const h5::File& file) {
  const Table table = read_surface(file.path());
  const auto direction = [&](const std::string& name) {
    const std::string text = file.has_attribute("/", name) ? file.text_attribute("/", name) : "";
    return text.empty() ? "" : " along " + text;
  };
  print_line("x", describe_axis(table.dimension("x")) + direction("x_direction"));
  if (table.variable("loss").dimensions.size() == 3)
    print_line("y", describe_axis(table.dimension("y")) + direction("y_direction"));
  std::vector<std::size_t> counts(table.variable("status").flags.size());
  Extremes loss;
  for (std::size_t i = 0; i < table.variable("loss").values.size(); ++i) {
    ++counts.at(static_cast<std::size_t>(table.variable("status").values[i]));
    loss.add(table.variable("loss").values[i]);
  }
  print_line("cells", fmt::format("{} finite, {} non-finite, {} not done, in {} repeat{}", counts[1], counts[2],
                                  counts[0], table.size(), table.size() == 1 ? "" : "s"));
  if (loss.min <= loss.max) print_line("loss", fmt::format("{:.6g} to {:.6g}", loss.min, loss.max));
  if (const Variable* centre = table.find("centre_loss"))
    print_line("centre", fmt::format("loss {:.6g}", centre->values.front()));
}

void print_h5(const std::string& path) {
  const h5::File file = open_published(path, "");
  const Provenance origin = read_provenance(file);
  print_out("{}: {}\n", path, origin.file_type);
  if (origin.file_type == "checkpoint") {
    const CheckpointInfo info = read_checkpoint_info(file);
    print_line("step", fmt::format("{} of {} ({} per epoch)", info.step, info.total_steps, info.steps_per_epoch));
    print_line("parameters", fmt::format("{}, fingerprint {}", info.parameters, info.theta_fingerprint));
    std::vector<std::string> slots = file.members("/optimizer");
    print_line("optimiser", slots.empty() ? "no state" : fmt::format("{}", fmt::join(slots, ", ")));
    print_line("pixels", fmt::format("(x - mean)/deviation, bytes as x/255; mean [{}], deviation [{}]",
                                     fmt::join(info.standardisation.mean, ", "),
                                     fmt::join(info.standardisation.deviation, ", ")));
  } else if (origin.file_type == "trace") {
    std::map<std::int64_t, TraceRecord> steps;
    std::map<std::int64_t, TestRecord> tests;
    const Trace trace = read_trace(path);
    for (const auto& record : trace.steps) steps.emplace(record.step, record);
    for (const auto& record : trace.tests) tests.emplace(record.step, record);
    if (!steps.empty()) print_line("steps", fmt::format("{} to {}", steps.begin()->first, steps.rbegin()->first));
    print_trace(parse_experiment(origin.config, path), steps, tests);
  } else if (origin.file_type == "grid") {
    print_grid(path);
  } else if (origin.file_type == "surface") {
    print_surface(file);
  } else if (file.exists("/step")) {
    print_table(file);
  }
  if (!origin.config.empty())  // a surface of another program has none
    print_origin(file, origin);
}

/// What is printed after a derived file's name.
std::string stale_note(const std::string& path) {
  const auto because = stale_because(path);
  return because ? fmt::format(" (stale: it {}; renew it with: {})", *because, renewal(path)) : "";
}

void print_run(const RunDirectory& directory) {
  const Experiment experiment = read_stored_experiment(directory);
  const auto checkpoints = directory.checkpoint_steps();
  print_out("{}: run of experiment \"{}\"{}\n", directory.root(), experiment.experiment.name,
            experiment.experiment.variant.empty() ? "" : ", variant \"" + experiment.experiment.variant + "\"");
  print_line("model", describe_experiment(experiment));
  if (checkpoints.empty()) {
    print_line("steps done", "none: no checkpoint yet");
    return;
  }
  const CheckpointInfo info = last_checkpoint(directory);
  print_line("steps done", fmt::format("{} of {} ({} per epoch), {} checkpoints", info.step, info.total_steps,
                                       info.steps_per_epoch, checkpoints.size()));
  print_line("parameters", fmt::format("{}", info.parameters));
  print_data(read_provenance(open_published(directory.checkpoint_path(info.step), "checkpoint")));
  const WholeTrace trace = read_whole_trace(directory, 0, info.step);
  print_trace(experiment, trace.steps, trace.tests);
  std::set<std::string> told;
  for (const SurveyId& survey : directory.surveys()) {
    const std::string merged = directory.merged_path(survey);
    told.insert(merged);
    print_line(survey.kind + " " + survey.name,
               fmt::format("{} shards, {}", directory.shard_files(survey).size(),
                           fs::exists(merged) ? "merged in " + merged + stale_note(merged) : "not merged"));
  }
  for (const std::string& path : directory.derived_files())  // of older programs, which kept no shards of analyses
    if (!told.contains(path)) print_line("also", path + stale_note(path));
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
void print_safetensors(const std::string& path) {
  const SafetensorsFile file(path);
  std::size_t widest = 0;
  Index values = 0;
  for (const StoredTensor& tensor : file.tensors()) widest = std::max(widest, tensor.name.size());
  print_out("{}: safetensors, {} tensors\n", path, file.tensors().size());
  for (const auto& [key, value] : file.metadata()) print_line(key, abridge(value));
  for (const StoredTensor& tensor : file.tensors()) {
    Index size = 1;
    for (const Index extent : tensor.shape) size *= extent;
    values += size;
    print_out("  {:<{}}  {:<4} [{}]\n", tensor.name, widest, tensor.type, fmt::join(tensor.shape, ", "));
  }
  print_line("values", fmt::format("{}", values));
}

void print_info(const std::string& path) {
  if (fs::is_directory(path)) {
    std::vector<Experiment> experiments;
    for (const RunDirectory& run : find_runs(path)) {
      print_run(run);
      experiments.push_back(read_stored_experiment(run));
    }
    try {
      print_networks(experiments);
    } catch (const UsageError& error) {
      throw Error(path, std::string("holds a configuration of no network: ") + error.what());
    }
  } else if (path.ends_with(".toml")) {
    print_config(path);
  } else if (path.ends_with(".safetensors")) {
    print_safetensors(path);
  } else {
    print_h5(path);
  }
}

}  // namespace

void add_info(VerbList& verbs) {
  Verb verb = verbs.add("info", "What a file, a configuration or a run holds, in words");
  auto path = std::make_shared<std::string>();
  auto digest = std::make_shared<bool>(false);
  auto network = std::make_shared<bool>(false);
  verb.option("PATH", *path, "configuration, HDF5 or safetensors file, run directory, or folder of runs").required();
  verb.flag("--digest", *digest, "print one hash of all data (wall times left out) instead");
  verb.flag("--network", *network, "print the network as text for model.layers instead");
  verb.ignores({"--threads", "--isa", "--quiet"});
  verb.example("gradscape info CONFIG", "variants and their networks, before anything is trained");
  verb.example("gradscape info runs/NAME/bn/landscape.h5", "steps, multipliers, cells, origin");
  verb.runs([path, digest, network] {
    if (!fs::exists(*path)) throw UsageError(*path, "does not exist");
    if (*digest && *network) throw UsageError("--digest", "does not go with --network", "each prints one thing");
    if (*network)
      print_network_texts(experiments_of(*path));
    else if (*digest)
      print_out("{}\n", fs::is_directory(*path) ? directory_digest(*path) : content_digest(*path));
    else
      print_info(*path);
  });
}

}  // namespace gradscape
