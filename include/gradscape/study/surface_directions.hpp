// How the directions of a surface are made from what a run and others hold.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "gradscape/core/fingerprint.hpp"
#include "gradscape/landscape/direction.hpp"
#include "gradscape/landscape/surface.hpp"
#include "gradscape/store/directions_file.hpp"
#include "gradscape/study/open_run.hpp"
#include "gradscape/study/run_at.hpp"

namespace gradscape {

/// The checkpoints of a run that ranges of steps name, as of [sweep]; UsageError naming `where` where there is none.
std::vector<std::int64_t> checkpoints_in(const RunDirectory& directory, const std::string& ranges,
                                         const std::string& where);

/// Whether a target is a checkpoint of the run itself ("12", "last"); the mean of some ("mean:first:last:every").
bool is_own_target(const std::string& target);
inline bool is_mean_target(const std::string& target) {
  return target.starts_with("mean:");
}
/// The checkpoint that a target other than a mean is.
RunAt find_target(const RunDirectory& run, const std::string& target);

/// Another network: of a checkpoint of this run ("12", "last"), of another run ("RUN@12"), or the mean of checkpoints
/// of this one ("mean:first:last:every", as stochastic weight averaging takes it). UsageError naming `where`.
template <class S>
NetworkWeights<S> load_target(OpenRun<S>& run, const std::string& target, const std::string& where);

/// Adds a repeat's norms and cosine to what is known of the directions, and to `hash` their elements. UsageError where
/// a direction is zero, or both are the same.
template <class S>
void note_directions(const DirectionPair<S>& pair, Fingerprint& hash, DirectionFacts& facts);

/// Makes both directions of each repeat.
template <class S>
class DirectionMaker {
 public:
  /// `gradient()`: of the loss at the centre. All must outlive it.
  DirectionMaker(OpenRun<S>& run, const SurfaceOptions& options, std::int64_t at, const NetworkWeights<S>& centre,
                 const std::vector<std::int64_t>& trajectory, std::function<Vector<S>()> gradient);

  DirectionPair<S> make(std::int64_t repeat);
  /// After all were made.
  DirectionFacts facts() const { return facts_; }

 private:
  Vector<S> along(const SurfaceDirection& direction, const char* where);
  Vector<S> component(int number);
  void find_components();
  void make_through();
  void note(const DirectionPair<S>& pair) { note_directions(pair, hash_, facts_); }

  OpenRun<S>& run_;
  const SurfaceOptions& options_;
  std::int64_t at_;
  const NetworkWeights<S>& centre_;
  const std::vector<std::int64_t>& trajectory_;
  std::function<Vector<S>()> gradient_;
  DirectionFacts facts_;
  DirectionPair<S> fixed_;          // what does not depend on the repeat
  std::vector<std::int64_t> rows_;  // checkpoints of the Gram matrix; -1: the centre
  PrincipalComponents components_;
  std::vector<double> gram_;
  Fingerprint hash_;
};

}  // namespace gradscape
