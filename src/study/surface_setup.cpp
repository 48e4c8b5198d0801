#include "gradscape/study/surface_setup.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <map>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/exchange/goldstein_directions.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/study/surface_directions.hpp"
#include "gradscape/study/surface_sources.hpp"

namespace gradscape {
namespace {

using Kind = SurfaceDirection::Kind;

bool has_kind(const SurfaceOptions& options, Kind kind) {
  const auto is = [&](const std::string& text) {
    return !text.empty() && parse_surface_direction(text, "surface").kind == kind;
  };
  return is(options.x) || is(options.y);
}

/// Which limits suit a direction whose own are not known.
SurfaceAxis usual_axis(const std::string& direction, bool plane) {
  if (parse_surface_direction(direction, "surface").kind == Kind::target) return {-0.5, 1.5, plane ? 21 : 41};
  return {-1, 1, plane ? 21 : 51};
}

/// Fills a SurfaceSetup; each step needs those before it.
template <class S>
class SetUp {
 public:
  SetUp(const SurveyId& id, OpenRun<S>& run) : id_(id), run_(run) { made_.settings = run.experiment(); }

  SurfaceSetup<S> make(bool may_write) {
    check_surface(made_.settings.surface, run_.directory().config_path());
    settle_centre();
    settle_source();
    settle_statistics();
    settle_sets();
    settle_trajectory();
    require_settings_of_shards();
    open_directions(may_write);
    settle_axes();
    load_moved_statistics();
    return std::move(made_);
  }

 private:
  void settle_centre();
  void settle_source();
  void settle_statistics();
  void settle_sets();
  void settle_trajectory();
  void require_settings_of_shards();
  void open_directions(bool may_write);
  void make_directions(const std::string& path);
  void settle_axes();
  void load_moved_statistics();

  const SurveyId& id_;
  OpenRun<S>& run_;
  SurfaceSetup<S> made_;
  std::map<std::string, std::string> source_;  // what surface.directions says of itself
};

/// Reads theta_c: of a checkpoint, of a step between two by replay, or the first network of surface.through.
template <class S>
void SetUp<S>::settle_centre() {
  SurfaceOptions& options = made_.settings.surface;
  const auto checkpoints = run_.directory().checkpoint_steps();
  if (checkpoints.empty()) throw Error(run_.directory().root(), "has no checkpoint", "`gradscape train` makes them");
  const bool open = options.at == "last";
  if (open) options.at = std::to_string(checkpoints.back());
  std::int64_t step = -1;
  const char* end = options.at.data() + options.at.size();
  if (const auto [stop, code] = std::from_chars(options.at.data(), end, step);
      code != std::errc() || stop != end || step < 0)
    throw UsageError("surface.at", fmt::format("\"{}\" is no step", abridge(options.at)), "a number, or last");
  if (!options.through.empty()) {
    std::vector<std::string> networks = split_list(options.through);
    std::replace(networks.begin(), networks.end(), std::string("last"), std::to_string(checkpoints.back()));
    options.through = fmt::format("{}", fmt::join(networks, ","));  // a run that is trained on keeps its surface
    const std::string& first = networks.front();
    made_.centre = load_target(run_, first, "surface.through");
    if (is_mean_target(first)) return;
    const std::int64_t of_first = find_target(run_.directory(), first).step;
    if (!open && step != of_first)
      throw UsageError("surface.at", fmt::format("is {}, and surface.through begins at step {}", step, of_first),
                       "the first network is the centre: leave surface.at out");
    options.at = std::to_string(of_first);
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
  made_.centre = {std::move(state.theta), std::move(state.buffers)};
}

/// What surface.directions were made with, where they are of this program.
template <class S>
void SetUp<S>::settle_source() {
  SurfaceOptions& options = made_.settings.surface;
  if (options.directions.empty() || stored_surface(run_.directory(), id_)) return;  // its shards say it then
  if (owner_of(options.directions) == Owner::another) return;
  const h5::File source = open_published(options.directions, "directions");
  const SurfaceOptions made = parse_stored_experiment(read_provenance(source).config, options.directions).surface;
  options.normalise = made.normalise;
  options.ignore = made.ignore;
  options.random_seed = made.random_seed;
  source_ = read_direction_facts(source).attributes;
}

template <class S>
void SetUp<S>::settle_statistics() {
  SurfaceOptions& options = made_.settings.surface;
  const bool keeps = run_.process().network().buffers().size() > 0;
  const auto leads_to_networks = [&](const char* axis) {
    const auto found = source_.find(axis);
    return found != source_.end() && (found->second.starts_with("to:") || found->second.starts_with("through "));
  };
  if (options.batch_norm == "auto")
    options.batch_norm = keeps && (has_kind(options, Kind::target) || !options.through.empty() ||
                                   leads_to_networks("x_direction") || leads_to_networks("y_direction"))
                             ? "reestimate"
                             : "batch";
  if (!keeps && options.batch_norm != "batch")
    throw UsageError(
        "surface.batch_norm",
        fmt::format("the network keeps no running statistics, which \"{}\" would take", options.batch_norm),
        "leave it out");
}

template <class S>
void SetUp<S>::settle_sets() {
  SurfaceOptions& options = made_.settings.surface;
  TrainingProcess<S>& process = run_.process();
  const ImageSet &train = process.dataset().train, &test = process.dataset().test;
  if (options.images_at_once == 0) options.images_at_once = process.batches().largest();
  const Index size = options.images_at_once;
  made_.train = std::make_unique<SetObjective<S>>(train, process.standardisation(),
                                                  spaced_positions(train.size(), options.images), size);
  if (options.test_images >= 0) {
    if (test.size() == 0) throw UsageError("surface.test_images", "the data have no test images", "leave it out");
    made_.test = std::make_unique<SetObjective<S>>(test, process.standardisation(),
                                                   spaced_positions(test.size(), options.test_images), size);
  }
  const bool takes_batches = options.batch_norm == "batch" || options.batch_norm == "reestimate";
  const Index fewest = process.network().fewest_samples();
  for (const auto* set : {made_.train.get(), options.batch_norm == "batch" ? made_.test.get() : nullptr})
    if (set != nullptr && takes_batches && set->smallest() < fewest)
      throw UsageError("surface.images",
                       fmt::format("{} images in batches of {} leave one of {}, and batch norm needs {}", set->size(),
                                   size, set->smallest(), fewest),
                       "choose another number of images, or surface.batch_norm = \"running\"");
}

/// The checkpoints by their steps, so that a run that is trained on keeps its surface.
template <class S>
void SetUp<S>::settle_trajectory() {
  SurfaceOptions& options = made_.settings.surface;
  std::string& wanted = options.trajectory;
  if (wanted.empty()) wanted = has_kind(options, Kind::component) ? "all" : "none";
  if (wanted == "none") return;
  made_.checkpoints = checkpoints_in(run_.directory(), wanted == "all" ? ":" : wanted, "surface.trajectory");
  wanted = fmt::format("{}", fmt::join(made_.checkpoints, ","));
}

/// Before anything is written: shards of other settings are left alone.
template <class S>
void SetUp<S>::require_settings_of_shards() {
  const auto made = stored_surface(run_.directory(), id_);
  if (!made) return;
  Experiment stored = made_.settings;
  stored.surface = *made;
  SurfaceOptions& here = made_.settings.surface;
  if (here.xlim.empty()) here.xlim = made->xlim;
  if (here.ylim.empty()) here.ylim = made->ylim;
  if (const auto list = surface_differences(made_.settings, stored); !list.empty())
    throw UsageError(run_.directory().root(),
                     fmt::format("{} was made with other settings: {}", describe(id_), fmt::join(list, "; ")),
                     fmt::format("give this surface another --name, or delete {}/surface/{} and make this one anew",
                                 run_.directory().root(), id_.name));
}

/// The surface's own directions file: read where it was made for these settings by this program, else made.
template <class S>
void SetUp<S>::open_directions(bool may_write) {
  const std::string path = run_.directory().directions_path(id_);
  const auto fits = [&] {
    if (!std::filesystem::exists(path)) return false;
    const h5::File file = open_published(path, "directions");
    const Provenance origin = read_provenance(file);
    require_same_run(origin, made_.settings, run_.data_fingerprint(), path);
    if (!difference(this_program(), program_of(file)).empty()) return false;
    Experiment stored = parse_stored_experiment(origin.config, path);
    SurfaceOptions& there = stored.surface;
    const SurfaceOptions& here = made_.settings.surface;
    there.xlim = here.xlim;  // what does not change directions
    there.ylim = here.ylim;
    there.test_images = here.test_images;
    there.grad_norm = here.grad_norm;
    if (!surface_differences(made_.settings, stored).empty()) return false;
    if (!may_write) return true;  // what is there is whole, whatever became of what it was made of
    const auto facts = read_direction_facts(file).attributes;
    const auto sources = facts.find("sources");
    if (const std::string now = fingerprint_of_sources(run_.directory(), made_.settings.surface);
        sources == facts.end() || now.empty() || sources->second == now)
      return true;
    if (stored_surface(run_.directory(), id_))
      throw UsageError(path, "was made of networks or directions that have changed since",
                       fmt::format("give this surface another --name, or delete {}/surface/{} and make this one anew",
                                   run_.directory().root(), id_.name));
    return false;
  };
  bool made = false;
  try {
    made = fits();
  } catch (const Error& error) {
    if (!is_damage(error)) throw;
  }
  if (!made && !may_write)
    throw Error(path, "is missing, of other settings or of another program", "`gradscape surface` makes it again");
  if (!made) make_directions(path);
  made_.directions = std::make_unique<h5::File>(open_published(path, "directions"));
  made_.facts = read_direction_facts(*made_.directions);
  if (const std::string centre = fingerprint(made_.centre.theta); made_.facts.attributes["theta_fingerprint"] != centre)
    throw Error(path, "is of another centre", "delete it and the folder of the surface's shards");
}

template <class S>
void SetUp<S>::make_directions(const std::string& path) {
  const SurfaceOptions& options = made_.settings.surface;
  Provenance origin = run_.provenance();
  origin.config = to_toml(made_.settings);
  const Layout& layout = run_.process().network().parameters();
  const auto finish = [&](DirectionFacts facts) {
    facts.attributes["theta_fingerprint"] = fingerprint(made_.centre.theta);
    facts.attributes["step"] = options.at;
    facts.attributes["sources"] = fingerprint_of_sources(run_.directory(), made_.settings.surface);
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
    DirectionFacts facts = read_direction_facts(source);
    if (facts.attributes["theta_fingerprint"] != fingerprint(made_.centre.theta)) {  // the points lie elsewhere then
      facts.points.clear();
      facts.numbers.erase("point_x");
      facts.numbers.erase("point_y");
    }
    write_directions<S>(
        path, origin, layout, facts.repeats,
        [&](std::int64_t repeat) { return read_directions<S>(source, facts, layout, repeat); },
        [&] { return finish(facts); });
    return;
  }
  const auto gradient = [&] {
    Network<S>& network = run_.process().network();
    const Vector<S> buffers = made_.statistics(network, made_.centre.theta, made_.centre.buffers, made_.pass());
    Vector<S> grad;
    made_.train->evaluate(network, made_.centre.theta, buffers, made_.pass(), &grad);
    return grad;
  };
  DirectionMaker<S> maker(run_, options, std::stoll(options.at), made_.centre, made_.checkpoints, gradient);
  write_directions<S>(
      path, origin, layout, options.repeats, [&](std::int64_t repeat) { return maker.make(repeat); },
      [&] { return finish(maker.facts()); });
}

template <class S>
void SetUp<S>::settle_axes() {
  SurfaceOptions& options = made_.settings.surface;
  const bool plane = made_.facts.plane;
  const auto settle = [&](std::string& text, const char* where, const std::string& direction) {
    if (const auto suits = made_.facts.attributes.find(where); text.empty() && suits != made_.facts.attributes.end())
      text = suits->second;
    const SurfaceAxis axis =
        text.empty() ? usual_axis(direction, plane) : parse_surface_axis(text, fmt::format("surface.{}", where));
    text = axis.text();
    return axis.values();
  };
  made_.xs = settle(options.xlim, "xlim", options.x);
  if (plane) made_.ys = settle(options.ylim, "ylim", options.y.empty() ? options.x : options.y);
}

template <class S>
void SetUp<S>::load_moved_statistics() {
  const SurfaceOptions& options = made_.settings.surface;
  if (options.batch_norm != "moved") return;
  const auto load = [&](const std::string& direction, std::optional<Vector<S>>& moved) -> Vector<S> {
    if (direction.empty()) return {};
    const SurfaceDirection parsed = parse_surface_direction(direction, "surface");
    if (parsed.kind != Kind::target) return {};
    const NetworkWeights<S> target = load_target(run_, parsed.target, "surface.batch_norm");
    add_scaled(target.buffers, -1.0, made_.centre.buffers, moved.emplace());
    return target.theta;
  };
  load(options.x, made_.moved_x);
  Vector<S> to_y = load(options.y, made_.moved_y);
  if (!made_.moved_x || !made_.moved_y) return;
  // y was made orthogonal to x: its target lies at (c, 1), and the statistics must be its own there.
  const Vector<S> x = read_directions<S>(*made_.directions, made_.facts, run_.process().network().parameters(), 0).x;
  add_scaled(to_y, -1.0, made_.centre.theta, to_y);
  add_scaled(*made_.moved_y, -dot(to_y, x) / dot(x, x), *made_.moved_x, *made_.moved_y);
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
Pass SurfaceSetup<S>::pass() const {
  Pass pass{settings.surface.batch_norm == "batch" ? Mode::train : Mode::evaluation};
  pass.random = false;
  return pass;
}

template <class S>
Vector<S> SurfaceSetup<S>::statistics(Network<S>& network, const Point<S>& theta, const Vector<S>& given,
                                      const Pass& pass) const {
  if (settings.surface.batch_norm != "reestimate") return given;
  Pass averaging = pass;
  averaging.mode = Mode::train;
  return train->average_statistics(network, theta, averaging);
}

template <class S>
SurfaceSetup<S> set_up_surface(const SurveyId& id, OpenRun<S>& run, bool may_write) {
  return SetUp<S>(id, run).make(may_write);
}

#define GRADSCAPE_INSTANTIATE(S)   \
  template struct SurfaceSetup<S>; \
  template SurfaceSetup<S> set_up_surface<S>(const SurveyId&, OpenRun<S>&, bool);
GRADSCAPE_INSTANTIATE(float)
GRADSCAPE_INSTANTIATE(double)
#undef GRADSCAPE_INSTANTIATE

}  // namespace gradscape
