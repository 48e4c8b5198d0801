#include "gradscape/study/import_job.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <filesystem>

#include "gradscape/core/error.hpp"
#include "gradscape/file/folder.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/store/run_lock.hpp"
#include "gradscape/study/open_run.hpp"

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
    for (const std::string& path : files)  // all of them before anything is written
      result.weights.push_back({path, static_cast<std::int64_t>(result.weights.size()), match(path).report});
    write(files);
    check(result);
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

  Weights match(const std::string& path) {
    const Network<S>& network = run_.process().network();
    Weights weights = match_weights(SafetensorsFile(path), network.parameters(), network.buffers(), request_.map);
    if (const auto& lacking = weights.report.no_statistics; !lacking.empty() && !request_.without_statistics)
      throw Error(path,
                  fmt::format("has no running statistics of {} norms: {}", lacking.size(), fmt::join(lacking, ", ")),
                  "--without-statistics takes it for train mode alone, where batch norm uses the batch's own");
    return weights;
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
    TrainingState<S> state = run_.process().initial_state();
    for (; state.step < static_cast<std::int64_t>(files.size()); ++state.step) {
      const Weights weights = match(files[static_cast<std::size_t>(state.step)]);
      state.theta = weights.theta.template cast<S>();
      state.buffers = weights.buffers.template cast<S>();
      write_checkpoint(directory_.checkpoint_path(state.step), run_.provenance(), state, run_.process());
      progress.update(state.step + 1, "");
    }
  }

  /// How far the last snapshot is from what the other program says of it.
  void check(ImportResult& result) const {
    const std::string path = request_.folder + "/" + kCheck;
    if (!fs::exists(path)) return;
    const RunAt last{directory_, result.weights.back().step};
    for (const Mode mode : {Mode::evaluation, Mode::train})
      result.checks.push_back(
          evaluate_run(last, run_.experiment(), {.images = path, .mode = mode, .precision = {}, .to = {}}));
  }

  const ImportRequest& request_;
  const RunDirectory& directory_;
  OpenRun<S> run_;
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

}  // namespace

std::vector<std::string> weight_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const std::string& name : names_in(folder))
    if (name.ends_with(".safetensors") && name != kCheck && !name.starts_with('.')) names.push_back(name);
  std::sort(names.begin(), names.end(), before);
  for (std::string& name : names) name = (fs::path(folder) / name).string();
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
