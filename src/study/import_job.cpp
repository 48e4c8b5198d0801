#include "gradscape/study/import_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <map>

#include "gradscape/core/error.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/file/folder.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/store/run_lock.hpp"
#include "gradscape/study/open_run.hpp"
#include "gradscape/train/set_objective.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCheck = "check.safetensors";

/// By digits as numbers: "epoch9" before "epoch10".
bool before(const std::string& a, const std::string& b) {
  std::size_t i = 0, j = 0;
  const auto digit = [](const std::string& text, std::size_t at) {
    return at < text.size() && std::isdigit(static_cast<unsigned char>(text[at])) != 0;
  };
  while (i < a.size() && j < b.size()) {
    if (!digit(a, i) || !digit(b, j)) {
      if (a[i] != b[j]) return a[i] < b[j];
      ++i, ++j;
      continue;
    }
    while (a[i] == '0' && digit(a, i + 1)) ++i;
    while (b[j] == '0' && digit(b, j + 1)) ++j;
    std::size_t m = i, n = j;
    while (digit(a, m)) ++m;
    while (digit(b, n)) ++n;
    if (m - i != n - j) return m - i < n - j;
    if (const int order = a.compare(i, m - i, b, j, n - j); order != 0) return order < 0;
    i = m, j = n;
  }
  return a.size() - i < b.size() - j;
}

template <class S>
class ImportJob {
 public:
  ImportJob(const ImportRequest& request, const Experiment& experiment, const RunDirectory& directory)
      : request_(request), directory_(directory), run_(experiment, directory) {}

  ImportResult work(const std::vector<std::string>& files) {
    require_place();
    ImportResult result;
    result.classes = run_.process().network().output().channels;
    const std::string checked = checked_file(files);
    for (const std::string& path : files) {  // all of them, and the check, before anything is written
      const Weights& weights = match(path);
      result.weights.push_back({path, static_cast<std::int64_t>(result.weights.size()), weights.report});
      if (path == checked) check(weights, result);
      if (path == files.back()) look_at_data(weights, result);
    }
    write(files);
    return result;
  }

 private:
  /// Error unless the directory may become this run's.
  void require_place() const {
    if (directory_.holds_run()) {
      if (!request_.force)
        throw UsageError(directory_.root(), "already holds a run", "--force to replace it, --out for another place");
      return;
    }
    if (const auto files = directory_.data_files(); !files.empty() || fs::exists(directory_.config_path()))
      throw UsageError(directory_.root(), "holds what belongs to no run", "choose another --out");
  }

  /// Those of the last file asked for are kept: most folders hold one.
  const Weights& match(const std::string& path) {
    if (path == matched_) return weights_;
    matched_.clear();
    const Network<S>& network = run_.process().network();
    Weights weights = match_weights(SafetensorsFile(path), network.parameters(), network.buffers(), request_.map);
    const bool may_lack = request_.without_statistics || request_.recompute_statistics;
    if (const auto& lacking = weights.report.no_statistics; !lacking.empty() && !may_lack)
      throw Error(
          path, fmt::format("has no running statistics of {} norms: {}", lacking.size(), fmt::join(lacking, ", ")),
          "--recompute-norm averages them over the training images; --without-statistics takes it for train mode "
          "alone, where batch norm uses the batch's own");
    if (request_.recompute_statistics) recompute(weights);
    weights_ = std::move(weights);
    matched_ = path;
    return weights_;
  }

  /// Running statistics as the training images have them, in the data set's order and batches of train.batch_size.
  void recompute(Weights& weights) {
    TrainingProcess<S>& process = run_.process();
    Network<S>& network = process.network();
    if (network.buffers().size() == 0) return;
    const ImageSet& images = process.dataset().train;
    SetObjective<S> set(images, process.standardisation(), spaced_positions(images.size(), 0),
                        process.batches().largest());
    const Vector<S> theta = weights.theta.template cast<S>();
    Pass pass;
    pass.random = false;
    weights.buffers = set.average_statistics(network, theta, pass).template cast<double>();
    weights.report.no_statistics.clear();
    weights.report.remarks.push_back(fmt::format("running statistics are of {} training images", images.size()));
  }

  void write(const std::vector<std::string>& files) {
    std::error_code code;
    fs::create_directories(directory_.root(), code);
    if (code) throw Error(directory_.root(), "cannot create the directory: " + code.message());
    const RunLock lock(directory_.lock_path());
    directory_.remove_remains();
    if (request_.force) directory_.remove_run();
    directory_.mark();
    publish_text(directory_.config_path(), run_.provenance().config);
    Progress progress("import", static_cast<std::int64_t>(files.size()));
    TrainingState<S> state;
    state.optimizer = initial_optimizer_state<S>(run_.experiment().train, run_.process().network().parameters().size());
    for (; state.step < static_cast<std::int64_t>(files.size()); ++state.step) {
      const Weights& weights = match(files[static_cast<std::size_t>(state.step)]);
      state.theta = weights.theta.template cast<S>();
      state.buffers = weights.buffers.template cast<S>();
      write_checkpoint(directory_.checkpoint_path(state.step), run_.provenance(), state, run_.process());
      progress.update(state.step + 1, "");
    }
  }

  std::string check_path() const { return request_.folder + "/" + kCheck; }

  /// The weights that the check is of: those that it names, else the last; empty without a check.
  std::string checked_file(const std::vector<std::string>& files) const {
    if (!fs::exists(check_path())) return "";
    const SafetensorsFile file(check_path());
    const auto named = file.metadata().find("weights");
    if (named == file.metadata().end()) return files.back();
    const auto is_named = [&](const std::string& path) { return fs::path(path).filename() == named->second; };
    const auto found = std::find_if(files.begin(), files.end(), is_named);
    return found == files.end() ? files.back() : *found;
  }

  /// How far we are from what the other program says.
  void check(const Weights& weights, ImportResult& result) {
    const Vector<S> theta = weights.theta.template cast<S>(), buffers = weights.buffers.template cast<S>();
    const SafetensorsFile file(check_path());
    Pass pass;
    pass.random = false;
    for (const Mode mode : {Mode::evaluation, Mode::train}) {
      // Of one image there may be nothing in train mode.
      if (file.find(mode == Mode::train ? "logits.train" : "logits.evaluation") == nullptr) continue;
      pass.mode = mode;
      result.checks.push_back(evaluate_file(run_.process().network(), theta, buffers, pass, check_path()));
    }
  }

  void look_at_data(const Weights& weights, ImportResult& result) {
    const ImageSet& images = run_.process().dataset().test;
    if (images.size() == 0 || !weights.report.no_statistics.empty()) return;
    EvaluateResult& found = result.on_data;
    found.images = std::min<Index>(run_.experiment().train.batch_size, images.size());
    const auto batch = plain_batch<S>(images, run_.process().standardisation(), 0, found.images);
    const Vector<S> theta = weights.theta.template cast<S>(), buffers = weights.buffers.template cast<S>();
    const Evaluation value = run_.process().network().evaluate(theta, buffers, batch, {Mode::evaluation});
    found.loss = value.loss;
    found.accuracy = value.accuracy;
  }

  const ImportRequest& request_;
  const RunDirectory& directory_;
  OpenRun<S> run_;
  std::string matched_;  // the file of weights_
  Weights weights_;
};

void require_images(const NetworkFile& network, const Experiment& experiment, const std::string& where) {
  const SampleShape images = sample_shape(experiment.data);
  if (!(images.shape == network.input))
    throw UsageError(
        where,
        fmt::format("the network takes images of {}×{}×{}, and the data's are {}×{}×{} (height, width, channels)",
                    network.input.height, network.input.width, network.input.channels, images.shape.height,
                    images.shape.width, images.shape.channels),
        "give the data that it was trained on: --config FILE or --data.source, --data.path");
  if (images.classes != network.classes)
    throw UsageError(
        where, fmt::format("the network has {} outputs, and the data {} classes", network.classes, images.classes));
}

/// Where each file says its place in `order`, as tools/from_pytorch.py writes it, and no two the same.
void sort_as_written(std::vector<std::string>& paths) {
  std::map<std::int64_t, std::string> sorted;
  for (const std::string& path : paths) {
    const SafetensorsFile file(path);
    const auto order = file.metadata().find("order");
    std::int64_t place = 0;
    if (order == file.metadata().end() || !parse_number(order->second, place)) return;
    sorted.emplace(place, path);
  }
  if (sorted.size() != paths.size()) return;
  paths.clear();
  for (const auto& [place, path] : sorted) paths.push_back(path);
}

}  // namespace

std::vector<std::string> weight_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const std::string& name : names_in(folder))
    if (name.ends_with(".safetensors") && name != kCheck && !name.starts_with('.')) names.push_back(name);
  std::sort(names.begin(), names.end(), before);
  for (std::string& name : names) name = (fs::path(folder) / name).string();
  sort_as_written(names);
  return names;
}

Experiment with_network(Experiment experiment, const NetworkFile& network, std::size_t snapshots) {
  experiment.model = {};
  experiment.model.arch = "layers";
  experiment.model.layers = network.layers;
  experiment.model.loss = network.loss;
  experiment.model.label_smoothing = network.label_smoothing;
  TrainOptions& train = experiment.train;
  train.imported = true;
  train.epochs = 0;
  train.steps = static_cast<std::int64_t>(snapshots) - 1;
  train.checkpoint_every = 1;
  train.test_every = 0;
  return experiment;
}

ImportResult import_run(const ImportRequest& request, const Experiment& experiment, const RunDirectory& directory) {
  if (fs::is_regular_file(request.folder))
    throw UsageError(request.folder, "is a file, and what is imported is a folder: network.toml and weights beside it",
                     "tools/from_pytorch.py makes one of a model and its .pth files, tools/from_onnx.py of a .onnx");
  if (!fs::exists(request.folder))
    throw UsageError(request.folder, "does not exist",
                     "name a folder with network.toml and weights, as tools/from_pytorch.py and from_onnx.py write it");
  const NetworkFile network = read_network_file(request.folder + "/network.toml");
  const std::vector<std::string> files = weight_files(request.folder);
  if (files.empty())
    throw UsageError(request.folder, "holds no weights",
                     "NAME.safetensors beside network.toml: tools/from_pytorch.py writes them");
  const Experiment wanted = with_network(experiment, network, files.size());
  check_experiment(wanted, request.folder);
  require_images(network, wanted, request.folder + "/network.toml");
  return with_precision(wanted, [&]<class S>() { return ImportJob<S>(request, wanted, directory).work(files); });
}

}  // namespace gradscape
