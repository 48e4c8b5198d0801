#include "gradscape/study/surface_directions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "gradscape/core/error.hpp"
#include "gradscape/core/fingerprint.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/core/vector_math.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/step_ranges.hpp"
#include "gradscape/study/run_at.hpp"

namespace gradscape {
namespace {

using Kind = SurfaceDirection::Kind;

constexpr std::size_t kBlock = 8;  // checkpoints that are in memory twice while a Gram matrix is made

template <class S>
NetworkWeights<S> mean_of(OpenRun<S>& run, const std::string& ranges, const std::string& where) {
  const auto steps = checkpoints_in(run.directory(), ranges, where);
  Vector<double> theta, buffers;
  Progress progress("mean of checkpoints", static_cast<std::int64_t>(steps.size()));
  for (std::size_t i = 0; i < steps.size(); ++i) {
    run.require_own_checkpoint(steps[i]);
    const auto weights = read_weights<S>(run.directory().checkpoint_path(steps[i]), run.process().network());
    if (i == 0) {
      theta = weights.theta.template cast<double>();
      buffers = weights.buffers.template cast<double>();
    } else {
      theta += weights.theta.template cast<double>();
      buffers += weights.buffers.template cast<double>();
    }
    progress.update(static_cast<std::int64_t>(i) + 1, "");
  }
  const auto count = static_cast<double>(steps.size());
  return {(theta / count).template cast<S>(), (buffers / count).template cast<S>()};
}

template <class S>
Vector<S> difference(const Vector<S>& a, const Vector<S>& b) {
  Vector<S> d;
  add_scaled(a, -1.0, b, d);
  return d;
}

}  // namespace

std::vector<std::int64_t> checkpoints_in(const RunDirectory& directory, const std::string& ranges,
                                         const std::string& where) {
  SweepOptions steps;
  set_step_ranges(parse_step_ranges(ranges, where), steps);
  auto chosen = directory.checkpoint_steps();
  const std::int64_t last = chosen.empty() ? 0 : chosen.back();
  std::erase_if(chosen, [&](std::int64_t step) { return !is_selected(steps, step, last); });
  if (chosen.empty())
    throw UsageError(where, fmt::format("no checkpoint is among the steps {}", abridge(ranges)),
                     "`gradscape info` lists the checkpoints");
  return chosen;
}

bool is_own_target(const std::string& target) {
  std::int64_t step = 0;
  const auto [end, code] = std::from_chars(target.data(), target.data() + target.size(), step);
  return target == "last" || (code == std::errc() && end == target.data() + target.size());
}

RunAt find_target(const RunDirectory& run, const std::string& target) {
  return find_run_at(is_own_target(target) ? fmt::format("{}@{}", run.root(), target) : target);
}

template <class S>
NetworkWeights<S> load_target(OpenRun<S>& run, const std::string& target, const std::string& where) {
  if (is_mean_target(target)) return mean_of(run, target.substr(5), where);
  const RunAt at = find_target(run.directory(), target);
  if (is_own_target(target)) run.require_own_checkpoint(at.step);
  return read_weights<S>(at.directory.checkpoint_path(at.step), run.process().network());
}

template <class S>
void note_directions(const DirectionPair<S>& pair, Fingerprint& hash, DirectionFacts& facts) {
  const double x = norm(pair.x);
  if (!(x > 0)) throw UsageError("surface.x", "is zero: there is nothing to go along");
  facts.numbers["x_norm"].push_back(x);
  hash.add(fingerprint(pair.x));
  if (pair.y.size() > 0) {
    const double y = norm(pair.y);
    if (!(y > 0)) throw UsageError("surface.y", "is zero: there is nothing to go along");
    const double cosine = dot(pair.x, pair.y) / (x * y);
    if (!(std::abs(cosine) < 1 - 1e-10))
      throw UsageError("surface.y", "is the same direction as the first axis",
                       "a plane needs two directions; without a second one it is a line");
    facts.plane = true;
    facts.numbers["y_norm"].push_back(y);
    facts.numbers["cosine"].push_back(cosine);
    hash.add(fingerprint(pair.y));
  }
  facts.attributes["direction_fingerprint"] = hash.hex();
}

template <class S>
DirectionMaker<S>::DirectionMaker(OpenRun<S>& run, const SurfaceOptions& options, std::int64_t at,
                                  const NetworkWeights<S>& centre, const std::vector<std::int64_t>& trajectory,
                                  std::function<Vector<S>()> gradient)
    : run_(run), options_(options), at_(at), centre_(centre), trajectory_(trajectory), gradient_(std::move(gradient)) {}

template <class S>
DirectionPair<S> DirectionMaker<S>::make(std::int64_t repeat) {
  if (!options_.through.empty()) {
    make_through();
    note(fixed_);
    return fixed_;
  }
  const SurfaceDirection x = parse_surface_direction(options_.x, "surface.x");
  const bool plane = !options_.y.empty();
  const SurfaceDirection y = plane ? parse_surface_direction(options_.y, "surface.y") : SurfaceDirection{};
  if (repeat == 0) {
    if (x.kind != Kind::random) fixed_.x = along(x, "surface.x");
    if (plane && y.kind != Kind::random) fixed_.y = along(y, "surface.y");
    if (plane && (x.kind == Kind::target || y.kind == Kind::target) && fixed_.x.size() > 0 && fixed_.y.size() > 0)
      make_orthogonal(fixed_.y, fixed_.x, "surface.y");
  }
  const Layout& layout = run_.process().network().parameters();
  RandomDirection random{static_cast<std::uint64_t>(options_.random_seed), static_cast<std::uint32_t>(repeat), 0,
                         normalisation_from_name(options_.normalise), options_.ignore == "biasbn"};
  DirectionPair<S> pair = fixed_;
  if (x.kind == Kind::random) pair.x = random_direction(layout, centre_.theta, random);
  random.axis = 1;
  if (plane && y.kind == Kind::random) pair.y = random_direction(layout, centre_.theta, random, &pair.x);
  if (x.kind == Kind::random && plane && y.kind == Kind::target) make_orthogonal(pair.y, pair.x, "surface.y");
  note(pair);
  return pair;
}

template <class S>
Vector<S> DirectionMaker<S>::along(const SurfaceDirection& direction, const char* where) {
  if (direction.kind == Kind::gradient) return gradient_();
  if (direction.kind == Kind::component) return component(direction.component);
  if (direction.kind == Kind::target) {
    const NetworkWeights<S> target = load_target(run_, direction.target, where);
    Vector<S> d = difference(target.theta, centre_.theta);
    if (!(norm(d) > 0))
      throw UsageError(where, fmt::format("{} is the centre itself", abridge(direction.target)),
                       "name another checkpoint than surface.at");
    return d;
  }
  if (run_.process().imported())
    throw UsageError(where, "the step that training took from a snapshot is not known",
                     "to:STEP goes to another snapshot");
  Vector<S> d;
  if (!run_.look_at(at_, [&](const StepView<S>& view) { d = difference(view.theta_next, view.theta); }))
    throw interruption(run_.directory().root(), "nothing was written", "the same command begins again");
  return d;
}

/// The plane through three networks (Garipov et al. 2018): x to the second, y to the third as far as it is orthogonal.
template <class S>
void DirectionMaker<S>::make_through() {
  const auto names = split_list(options_.through);
  const NetworkWeights<S> second = load_target(run_, names[1], "surface.through"),
                          third = load_target(run_, names[2], "surface.through");
  fixed_.x = difference(second.theta, centre_.theta);
  const double x = norm(fixed_.x);
  if (!(x > 0)) throw UsageError("surface.through", "the first two networks are the same");
  fixed_.x *= static_cast<S>(1.0 / x);
  Vector<S> to_third = difference(third.theta, centre_.theta);
  const double c = dot(to_third, fixed_.x);
  fixed_.y = to_third;
  make_orthogonal(fixed_.y, fixed_.x, "surface.through");
  const double y = norm(fixed_.y);
  fixed_.y *= static_cast<S>(1.0 / y);
  facts_.numbers["point_x"] = {0, x, c};
  facts_.numbers["point_y"] = {0, 0, y};
  for (std::string name : names) {
    std::replace(name.begin(), name.end(), ',', ';');
    facts_.points.push_back(name);
  }
  const auto limits = [](std::vector<double> places) {
    const auto [low, high] = std::minmax_element(places.begin(), places.end());
    const double margin = 0.2 * (*high - *low);
    return SurfaceAxis{*low - margin, *high + margin, 21}.text();
  };
  facts_.attributes["xlim"] = limits(facts_.numbers["point_x"]);
  facts_.attributes["ylim"] = limits(facts_.numbers["point_y"]);
}

/// The Gram matrix of theta_t − theta_c over the trajectory and, unless it is one of them, the centre: two blocks of
/// checkpoints are in memory at a time.
template <class S>
void DirectionMaker<S>::find_components() {
  if (!gram_.empty()) return;
  rows_ = trajectory_;
  if (std::find(rows_.begin(), rows_.end(), at_) == rows_.end()) rows_.push_back(-1);
  const std::size_t rows = rows_.size();
  if (rows < 3) (void)principal_components({}, rows, "surface.trajectory");
  gram_.assign(rows * rows, 0);
  const auto load = [&](std::size_t first) {
    std::vector<Vector<S>> block;
    for (std::size_t i = first; i < std::min(rows, first + kBlock); ++i) {
      if (rows_[i] < 0) {
        block.push_back(Vector<S>::Zero(centre_.theta.size()));
        continue;
      }
      run_.require_own_checkpoint(rows_[i]);
      const auto path = run_.directory().checkpoint_path(rows_[i]);
      block.push_back(difference(read_weights<S>(path, run_.process().network()).theta, centre_.theta));
    }
    return block;
  };
  const std::size_t blocks = (rows + kBlock - 1) / kBlock;
  Progress progress("principal components", static_cast<std::int64_t>(blocks * (blocks + 1) / 2));
  std::int64_t done = 0;
  for (std::size_t i = 0; i < rows; i += kBlock) {
    const auto here = load(i);
    for (std::size_t k = i; k < rows; k += kBlock) {
      const auto loaded = k == i ? std::vector<Vector<S>>{} : load(k);
      const auto& there = k == i ? here : loaded;
      for (std::size_t a = 0; a < here.size(); ++a)
        for (std::size_t b = k == i ? a : 0; b < there.size(); ++b)
          gram_[(i + a) * rows + k + b] = gram_[(k + b) * rows + i + a] = dot(here[a], there[b]);
      progress.update(++done, "");
    }
  }
  components_ = principal_components(gram_, rows, "surface.trajectory");
  facts_.numbers["explained_variance_ratio"] = components_.explained;
}

template <class S>
Vector<S> DirectionMaker<S>::component(int number) {
  find_components();
  const auto& weights = components_.weights[static_cast<std::size_t>(number - 1)];
  Vector<double> sum = Vector<double>::Zero(centre_.theta.size());
  for (std::size_t t = 0; t < rows_.size(); ++t) {
    if (rows_[t] < 0) continue;
    const auto theta = read_weights<S>(run_.directory().checkpoint_path(rows_[t]), run_.process().network()).theta;
    sum += weights[t] * difference(theta, centre_.theta).template cast<double>();
  }
  Vector<S> d = sum.template cast<S>();
  const double sign = fix_sign(d);
  // Where the checkpoints lie along it: sums of the Gram matrix.
  double low = 0, high = 0;
  for (std::size_t t = 0; t < rows_.size(); ++t) {
    double place = 0;
    for (std::size_t s = 0; s < rows_.size(); ++s) place += sign * weights[s] * gram_[t * rows_.size() + s];
    low = std::min(low, place);
    high = std::max(high, place);
  }
  const double margin = 0.2 * (high - low);
  const std::string text = SurfaceAxis{low - margin, high + margin, 21}.text();
  const SurfaceDirection x = parse_surface_direction(options_.x, "surface.x");
  facts_.attributes[x.kind == Kind::component && x.component == number ? "xlim" : "ylim"] = text;
  return d;
}

template NetworkWeights<float> load_target<float>(OpenRun<float>&, const std::string&, const std::string&);
template NetworkWeights<double> load_target<double>(OpenRun<double>&, const std::string&, const std::string&);
template void note_directions<float>(const DirectionPair<float>&, Fingerprint&, DirectionFacts&);
template void note_directions<double>(const DirectionPair<double>&, Fingerprint&, DirectionFacts&);
template class DirectionMaker<float>;
template class DirectionMaker<double>;

}  // namespace gradscape
