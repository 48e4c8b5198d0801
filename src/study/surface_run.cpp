#include "gradscape/study/surface_run.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <limits>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/exchange/goldstein_directions.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/probe.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/study/surface_directions.hpp"

namespace gradscape {
namespace {

using Kind = SurfaceDirection::Kind;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

bool has_kind(const SurfaceOptions& options, Kind kind) {
  const auto is = [&](const std::string& text) {
    return !text.empty() && parse_surface_direction(text, "surface").kind == kind;
  };
  return is(options.x) || is(options.y);
}

/// Which limits suit a direction whose own are not known.
SurfaceAxis usual_axis(const SurfaceOptions& options, const std::string& direction) {
  const bool plane = !options.y.empty();
  if (parse_surface_direction(direction, "surface").kind == Kind::target) return {-0.5, 1.5, plane ? 21 : 41};
  return {-1, 1, plane ? 21 : 51};
}

Dimension numbered(const std::string& name, const Table& schema, std::size_t size, double first = 0) {
  Dimension dimension = schema.dimension(name);
  for (std::size_t i = 0; i < size; ++i) dimension.values.push_back(first + static_cast<double>(i));
  return dimension;
}

}  // namespace

std::optional<SurfaceOptions> stored_surface(const RunDirectory& directory, const SurveyId& id) {
  const std::string type = survey_kind(id.kind).schema().kind;
  for (const auto& list : {directory.shard_files(id), directory.partial_files(id)})
    for (const SegmentFile& shard : list) try {
        const Provenance origin = read_provenance(peek_published(shard.path, type));
        return parse_stored_experiment(origin.config, shard.path).surface;
      } catch (const Error& error) {  // another one may be whole
        if (!is_damage(error)) throw;
      }
  return {};
}

template <class S>
SurfaceRun<S>::SurfaceRun(SurveyId id, const Experiment& experiment, const RunDirectory& directory, bool may_write)
    : id_(std::move(id)), may_write_(may_write), run_(experiment, directory), settings_(run_.experiment()) {
  check_surface(settings_.surface, directory.config_path());
  settle_centre();
  settle_statistics();
  settle_sets();
  checkpoints_ = trajectory();
  require_settings_of_shards();
  open_directions();
  settle_axes();
  points_ = surface_points(xs_.size(), ys_.empty() ? 1 : ys_.size(), facts_.repeats, checkpoints_.size());
}

/// Reads theta_c: of a checkpoint, of a step between two by replay, or the first network of surface.through.
template <class S>
void SurfaceRun<S>::settle_centre() {
  SurfaceOptions& options = settings_.surface;
  const auto checkpoints = run_.directory().checkpoint_steps();
  if (checkpoints.empty()) throw Error(run_.directory().root(), "has no checkpoint", "`gradscape train` makes them");
  if (options.at == "last") options.at = std::to_string(checkpoints.back());
  std::int64_t step = -1;
  const char* end = options.at.data() + options.at.size();
  if (const auto [stop, code] = std::from_chars(options.at.data(), end, step);
      code != std::errc() || stop != end || step < 0)
    throw UsageError("surface.at", fmt::format("\"{}\" is no step", abridge(options.at)), "a number, or last");
  if (!options.through.empty()) {
    centre_ = load_target(run_, split_list(options.through).front(), "surface.through");
    return;
  }
  if (step > checkpoints.back())
    throw UsageError("surface.at", fmt::format("the run has no step {}", step),
                     fmt::format("its last checkpoint is of step {}", checkpoints.back()));
  const auto after = std::upper_bound(checkpoints.begin(), checkpoints.end(), step);
  if (after == checkpoints.begin())
    throw Error(run_.directory().root(), fmt::format("has no checkpoint at or before step {}", step));
  const std::int64_t from = *(after - 1);
  if (from != step && run_.process().imported())
    throw UsageError("surface.at", fmt::format("there is no snapshot {}", step),
                     fmt::format("the one before it is {}", from));
  TrainingState<S> state = run_.checkpoint(from);
  if (from != step && !run_.replay_to(state, step, {}))
    throw interruption(run_.directory().root(), "nothing was written", "the same command begins again");
  centre_ = {std::move(state.theta), std::move(state.buffers)};
}

template <class S>
void SurfaceRun<S>::settle_statistics() {
  SurfaceOptions& options = settings_.surface;
  const bool keeps = run_.process().network().buffers().size() > 0;
  if (options.batch_norm == "auto")
    options.batch_norm =
        keeps && (has_kind(options, Kind::target) || !options.through.empty()) ? "reestimate" : "batch";
  if (!keeps && options.batch_norm != "batch")
    throw UsageError(
        "surface.batch_norm",
        fmt::format("the network keeps no running statistics, which \"{}\" would take", options.batch_norm),
        "leave it out");
}

template <class S>
void SurfaceRun<S>::settle_sets() {
  SurfaceOptions& options = settings_.surface;
  TrainingProcess<S>& process = run_.process();
  const ImageSet &train = process.dataset().train, &test = process.dataset().test;
  if (options.images_at_once == 0) options.images_at_once = process.batches().largest();
  const Index size = options.images_at_once;
  train_ = std::make_unique<SetObjective<S>>(train, process.standardisation(),
                                             spaced_positions(train.size(), options.images), size);
  if (options.test_images >= 0) {
    if (test.size() == 0) throw UsageError("surface.test_images", "the data have no test images", "leave it out");
    test_ = std::make_unique<SetObjective<S>>(test, process.standardisation(),
                                              spaced_positions(test.size(), options.test_images), size);
  }
  const bool takes_batches = options.batch_norm == "batch" || options.batch_norm == "reestimate";
  const Index fewest = process.network().fewest_samples();
  for (const auto* set : {train_.get(), options.batch_norm == "batch" ? test_.get() : nullptr})
    if (set != nullptr && takes_batches && set->smallest() < fewest)
      throw UsageError("surface.images",
                       fmt::format("{} images in batches of {} leave one of {}, and batch norm needs {}", set->size(),
                                   size, set->smallest(), fewest),
                       "choose another number of images, or surface.batch_norm = \"running\"");
}

template <class S>
std::vector<std::int64_t> SurfaceRun<S>::trajectory() const {
  const SurfaceOptions& options = settings_.surface;
  std::string wanted = options.trajectory;
  if (wanted.empty()) wanted = has_kind(options, Kind::component) ? "all" : "none";
  if (wanted == "none") return {};
  const auto all = run_.directory().checkpoint_steps();
  if (wanted == "all") return all;
  SweepOptions steps;
  set_step_ranges(parse_step_ranges(wanted, "surface.trajectory"), steps);
  std::vector<std::int64_t> chosen;
  for (const std::int64_t step : all)
    if (is_selected(steps, step, all.back())) chosen.push_back(step);
  if (chosen.empty())
    throw UsageError("surface.trajectory", fmt::format("no checkpoint is among the steps {}", abridge(wanted)),
                     "`gradscape info` lists the checkpoints");
  return chosen;
}

/// Before anything is written: shards of other settings are left alone.
template <class S>
void SurfaceRun<S>::require_settings_of_shards() {
  const auto made = stored_surface(run_.directory(), id_);
  if (!made) return;
  Experiment stored = settings_;
  stored.surface = *made;
  SurfaceOptions& here = settings_.surface;
  if (here.xlim.empty()) here.xlim = made->xlim;
  if (here.ylim.empty()) here.ylim = made->ylim;
  if (const auto list = surface_differences(settings_, stored); !list.empty())
    throw UsageError(run_.directory().root(),
                     fmt::format("{} was made with other settings: {}", describe(id_), fmt::join(list, "; ")),
                     fmt::format("give this surface another --name, or delete {}/surface/{} and make this one anew",
                                 run_.directory().root(), id_.name));
}

/// The surface's own directions file: read where it was made for these settings by this program, else made.
template <class S>
void SurfaceRun<S>::open_directions() {
  const std::string path = run_.directory().directions_path(id_);
  const auto fits = [&] {
    if (!std::filesystem::exists(path)) return false;
    const h5::File file = open_published(path, "directions");
    const Provenance origin = read_provenance(file);
    require_same_run(origin, settings_, run_.data_fingerprint(), path);
    if (!difference(this_program(), program_of(file)).empty()) return false;
    Experiment stored = parse_stored_experiment(origin.config, path);
    SurfaceOptions& there = stored.surface;
    const SurfaceOptions& here = settings_.surface;
    there.xlim = here.xlim;  // what does not change directions
    there.ylim = here.ylim;
    there.test_images = here.test_images;
    there.grad_norm = here.grad_norm;
    return surface_differences(settings_, stored).empty();
  };
  bool made = false;
  try {
    made = fits();
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
  }
  if (!made && !may_write_)
    throw Error(path, "is missing, of other settings or of another program", "`gradscape surface` makes it again");
  if (!made) make_directions(path);
  file_ = std::make_unique<h5::File>(open_published(path, "directions"));
  facts_ = read_direction_facts(*file_);
  if (const std::string centre = fingerprint(centre_.theta); facts_.attributes["theta_fingerprint"] != centre)
    throw Error(path, "is of another centre", "delete it and the folder of the surface's shards");
}

template <class S>
void SurfaceRun<S>::make_directions(const std::string& path) {
  const SurfaceOptions& options = settings_.surface;
  Provenance origin = run_.provenance();
  origin.config = to_toml(settings_);
  const Layout& layout = run_.process().network().parameters();
  const auto finish = [&](DirectionFacts facts) {
    facts.attributes["theta_fingerprint"] = fingerprint(centre_.theta);
    facts.attributes["step"] = options.at;
    if (!facts.attributes.contains("x_direction")) {
      facts.attributes["x_direction"] = options.through.empty() ? options.x : "through " + options.through;
      facts.attributes["y_direction"] = options.through.empty() ? options.y : "through " + options.through;
    }
    return facts;
  };
  if (!options.directions.empty() && owner_of(options.directions) == Owner::another) {
    const auto pair = read_goldstein_directions<S>(options.directions, layout, run_.process().network().buffers());
    DirectionFacts facts;
    Fingerprint hash;
    note_directions(pair, hash, facts);
    const std::string name = std::filesystem::path(options.directions).filename().string();
    facts.attributes["x_direction"] = name;
    facts.attributes["y_direction"] = facts.plane ? name : "";
    write_directions<S>(
        path, origin, layout, 1, [&](std::int64_t) { return pair; }, [&] { return finish(facts); });
    return;
  }
  if (!options.directions.empty()) {
    const h5::File source = open_published(options.directions, "directions");
    const DirectionFacts facts = read_direction_facts(source);
    write_directions<S>(
        path, origin, layout, facts.repeats,
        [&](std::int64_t repeat) { return read_directions<S>(source, facts, layout, repeat); },
        [&] { return finish(facts); });
    return;
  }
  const auto gradient = [&] {
    Vector<S> grad;
    const Place centre = cell(0, 0, -1);
    train_->evaluate(run_.process().network(), centre.at, centre.buffers, pass(), &grad);
    return grad;
  };
  DirectionMaker<S> maker(run_, options, std::stoll(options.at), centre_, checkpoints_, gradient);
  write_directions<S>(
      path, origin, layout, maker.repeats(), [&](std::int64_t repeat) { return maker.make(repeat); },
      [&] { return finish(maker.facts()); });
}

template <class S>
void SurfaceRun<S>::settle_axes() {
  SurfaceOptions& options = settings_.surface;
  const auto settle = [&](std::string& text, const char* where, const std::string& direction) {
    if (text.empty() && facts_.attributes.contains(where)) text = facts_.attributes[where];
    const std::string field = fmt::format("surface.{}", where);
    const SurfaceAxis axis = text.empty() ? usual_axis(options, direction) : parse_surface_axis(text, field);
    text = axis.text();
    return axis.values();
  };
  xs_ = settle(options.xlim, "xlim", options.x);
  if (facts_.plane) ys_ = settle(options.ylim, "ylim", options.y.empty() ? options.x : options.y);
  if (options.batch_norm != "moved") return;
  const auto moved = [&](const std::string& direction) -> std::optional<NetworkWeights<S>> {
    if (direction.empty()) return {};
    const SurfaceDirection parsed = parse_surface_direction(direction, "surface");
    if (parsed.kind != Kind::target) return {};
    NetworkWeights<S> target = load_target(run_, parsed.target, "surface.batch_norm");
    add_scaled(target.buffers, -1.0, centre_.buffers, target.buffers);
    target.theta.resize(0);
    return target;
  };
  if (!options.through.empty())
    throw UsageError("surface.batch_norm", "\"moved\" is for directions to:", "reestimate suits surface.through");
  moved_x_ = moved(options.x);
  moved_y_ = moved(options.y);
}

template <class S>
Table SurfaceRun<S>::begin() const {
  const SurfaceOptions& options = settings_.surface;
  const Table all = surface_points_schema();
  Table table = surface_points_schema({facts_.plane, test_ != nullptr, options.grad_norm});
  table.attributes = {{"step", options.at},
                      {"x_direction", facts_.attributes.at("x_direction")},
                      {"y_direction", facts_.attributes.at("y_direction")},
                      {"theta_fingerprint", facts_.attributes.at("theta_fingerprint")},
                      {"direction_fingerprint", facts_.attributes.at("direction_fingerprint")},
                      {"subset_fingerprint", train_->fingerprint() + (test_ ? "," + test_->fingerprint() : "")},
                      {"batch_norm", options.batch_norm},
                      {"normalise", options.normalise},
                      {"ignore", options.ignore},
                      {"random_seed", std::to_string(options.random_seed)},
                      {"images", std::to_string(train_->size())},
                      {"test_images", std::to_string(test_ ? test_->size() : 0)},
                      {"batch_size", std::to_string(options.images_at_once)}};
  std::vector<Dimension> dimensions = {table.rows(), numbered("repeat", all, static_cast<std::size_t>(facts_.repeats))};
  const auto with_values = [&](const char* name, const std::vector<double>& values) {
    Dimension dimension = all.dimension(name);
    dimension.values = values;
    dimensions.push_back(dimension);
  };
  if (facts_.plane) with_values("y", ys_);
  with_values("x", xs_);
  if (!checkpoints_.empty()) with_values("checkpoint", {checkpoints_.begin(), checkpoints_.end()});
  if (const auto found = facts_.numbers.find("explained_variance_ratio"); found != facts_.numbers.end())
    dimensions.push_back(numbered("component", all, found->second.size(), 1));
  if (!facts_.points.empty()) {
    dimensions.push_back(numbered("point", all, facts_.points.size()));
    dimensions.back().labels = facts_.points;
  }
  table.dimensions = dimensions;
  std::erase_if(table.variables, [&](const Variable& variable) {
    return !table.by_row(variable) && !facts_.numbers.contains(variable.name);
  });
  for (Variable& variable : table.variables)
    if (!table.by_row(variable)) variable.values = facts_.numbers.at(variable.name);
  return table;
}

template <class S>
Pass SurfaceRun<S>::pass() const {
  const std::string& statistics = settings_.surface.batch_norm;
  Pass pass{statistics == "batch" ? Mode::train : Mode::evaluation, 0, 0};
  pass.random = false;
  return pass;
}

template <class S>
const DirectionPair<S>& SurfaceRun<S>::directions(std::int64_t repeat) {
  if (held_ == repeat) return pair_;
  held_ = -1;
  pair_ = {};
  pair_ = read_directions<S>(*file_, facts_, run_.process().network().parameters(), repeat);
  held_ = repeat;
  row_.resize(0);
  return pair_;
}

/// theta(a, b) = (theta_c + b·y) + a·x, with the statistics that belong there; repeat −1: the centre.
template <class S>
typename SurfaceRun<S>::Place SurfaceRun<S>::cell(double a, double b, std::int64_t repeat) {
  Vector<S> buffers = centre_.buffers;
  if (repeat < 0) return {centre_.theta, buffers};
  const DirectionPair<S>& pair = directions(repeat);
  if (pair.y.size() > 0 && (row_.size() == 0 || row_b_ != b)) {
    add_scaled(centre_.theta, b, pair.y, row_);
    row_b_ = b;
  }
  if (moved_x_) add_scaled(buffers, a, moved_x_->buffers, buffers);
  if (moved_y_) add_scaled(buffers, b, moved_y_->buffers, buffers);
  return {{pair.y.size() > 0 ? row_ : centre_.theta, a, pair.x}, buffers};
}

template <class S>
void SurfaceRun<S>::measure(const Place& place, double a, double b, double distance, double radius, Table& table) {
  Network<S>& network = run_.process().network();
  Pass pass = this->pass();
  pass.theta_id = new_theta_id();
  const bool anew = settings_.surface.batch_norm == "reestimate";
  Pass averaging = pass;
  averaging.mode = Mode::train;
  const Vector<S> buffers = anew ? train_->average_statistics(network, place.at, averaging) : place.buffers;
  Vector<S> grad;
  const bool wants_grad = settings_.surface.grad_norm;
  const Evaluation train = train_->evaluate(network, place.at, buffers, pass, wants_grad ? &grad : nullptr);
  bool finite = std::isfinite(train.loss);
  const auto put = [&](const char* name, double value) { table.variable(name).values.push_back(value); };
  put("a", a);
  put("b", b);
  put("loss", train.loss);
  put("accuracy", train.accuracy);
  if (test_) {
    const Evaluation test = test_->evaluate(network, place.at, buffers, pass);
    finite = finite && std::isfinite(test.loss);
    put("test_loss", test.loss);
    put("test_accuracy", test.accuracy);
  }
  if (wants_grad) {
    const double size = norm(grad);
    finite = finite && std::isfinite(size);
    put("grad_norm", size);
  }
  put("distance", distance);
  put("radius", radius);
  put("status", static_cast<double>(finite ? CellStatus::ok : CellStatus::non_finite));
}

template <class S>
PlanePlace SurfaceRun<S>::project(const Vector<S>& theta, double& distance, double& radius) {
  const DirectionPair<S>& pair = directions(0);
  Vector<S> d;
  add_scaled(theta, -1.0, centre_.theta, d);
  const bool plane = pair.y.size() > 0;
  const AxisProducts axes{dot(pair.x, pair.x), plane ? dot(pair.x, pair.y) : 0, plane ? dot(pair.y, pair.y) : 0};
  const PlanePlace place = place_on_plane(axes, dot(d, pair.x), plane ? dot(d, pair.y) : 0);
  radius = norm(d);
  add_scaled(d, -place.a, pair.x, d);
  if (plane) add_scaled(d, -place.b, pair.y, d);
  distance = norm(d);
  return place;
}

template <class S>
void SurfaceRun<S>::add(std::int64_t key, Table& table) {
  const SurfacePoint& point = points_.at(static_cast<std::size_t>(key));
  if (point.kind == SurfacePoint::Kind::centre) {
    measure(cell(0, 0, -1), 0, 0, 0, 0, table);
  } else if (point.kind == SurfacePoint::Kind::cell) {
    const double a = xs_[point.x], b = ys_.empty() ? 0 : ys_[point.y];
    measure(cell(a, b, point.repeat), a, b, kNan, kNan, table);
  } else {
    const std::int64_t step = checkpoints_[point.checkpoint];
    run_.require_own_checkpoint(step);
    const auto weights = read_weights<S>(run_.directory().checkpoint_path(step), run_.process().network());
    double distance = 0, radius = 0;
    const PlanePlace place = project(weights.theta, distance, radius);
    if (point.kind == SurfacePoint::Kind::checkpoint)
      measure({weights.theta, weights.buffers}, place.a, place.b, distance, radius, table);
    else
      measure(cell(place.a, place.b, 0), place.a, place.b, distance, radius, table);
  }
  table.dimensions.front().values.push_back(static_cast<double>(key));
}

template class SurfaceRun<float>;
template class SurfaceRun<double>;

}  // namespace gradscape
