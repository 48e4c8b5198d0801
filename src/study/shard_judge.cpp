#include "gradscape/study/shard_judge.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <set>

#include "gradscape/study/run_access.hpp"

namespace gradscape {
namespace {

bool same(double a, double b) {
  return a == b || (std::isnan(a) && std::isnan(b));
}

bool has_steps(const SweepRecord& record, std::int64_t step) {
  return record.step == step;
}

void require_trained_so(const std::string& path, const std::vector<SweepRecord>& records, const SweepOptions& options,
                        const WholeTrace& trace) {
  for (const SweepRecord& record : records) {
    const auto found = trace.steps.find(record.step);
    const bool fits = found != trace.steps.end() && same(record.lr, found->second.lr) &&
                      (options.precision != "native" || (same(record.train_loss, found->second.loss) &&
                                                         same(record.train_grad_norm, found->second.grad_norm)));
    if (!fits) throw Error(path, fmt::format("step {} is not as training recorded it", record.step));
  }
}

}  // namespace

ShardJudge::ShardJudge(const RunDirectory& directory, std::string name, const Experiment& settings,
                       std::string data_fingerprint)
    : directory_(directory), name_(std::move(name)), settings_(settings), data_(std::move(data_fingerprint)) {
  std::set<Program> programs;
  for (const SegmentFile& shard : directory_.shard_files(name_)) try {
      const h5::File file = peek_published(shard.path, "grid");
      const Program program = program_of(file);
      require_own(file);
      programs.insert(program);
    } catch (const Error& error) {  // check() tells of what is damaged
      if (!is_damage(error) && !foreign_) foreign_ = error;
    }
  mixed_ = programs.size() > 1;
}

void ShardJudge::require_own(const h5::File& file) const {
  const Provenance origin = read_provenance(file);
  if (origin.config == own_config_ && origin.data_fingerprint == data_) return;
  require_same_run(origin, settings_, data_, file.path());
  const auto list = sweep_differences(settings_, parse_stored_experiment(origin.config, file.path()));
  if (!list.empty())
    throw UsageError(file.path(),
                     fmt::format("sweep \"{}\" was made with other settings: {}", name_, fmt::join(list, "; ")),
                     "give this sweep another --name (with `gradscape sweep`), or delete the folder of the old one");
  own_config_ = origin.config;
}

void ShardJudge::require_none_foreign() const {
  if (foreign_) throw Error(*foreign_);
}

template <class Fits>
ShardCheck ShardJudge::judge(const std::string& path, Fits&& fits) const {
  if (!std::filesystem::exists(path)) return {};
  try {
    {
      const h5::File file = open_published(path, "grid");
      require_own(file);
      if (const std::string other = difference(this_program(), program_of(file)); mixed_ && !other.empty())
        throw Error(path, fmt::format("was computed by another program, as others were not: {}", other));
    }
    Grid grid = read_grid(path);
    if (grid.multipliers != settings_.sweep.multipliers)
      throw Error(path, "its multipliers are not those of its configuration");
    fits(grid.records);
    return {ShardState::whole, "", std::move(grid.records)};
  } catch (const AccessError&) {
    throw;
  } catch (const Error& error) {
    return {is_damage(error) ? ShardState::damaged : ShardState::foreign, error.what(), {}};
  }
}

ShardCheck ShardJudge::check(const Segment& segment) const {
  const std::string path = directory_.shard_path(name_, segment.first, segment.last);
  return judge(path, [&](const std::vector<SweepRecord>& records) {
    if (!std::equal(records.begin(), records.end(), segment.probed.begin(), segment.probed.end(), has_steps))
      throw Error(path, "does not hold the segment's probed steps");
  });
}

ShardCheck ShardJudge::check_partial(const Segment& segment, const WholeTrace& trace) const {
  const std::string path = directory_.partial_path(name_, segment.first, segment.last);
  return judge(path, [&](const std::vector<SweepRecord>& records) {
    if (records.size() > segment.probed.size() ||
        !std::equal(records.begin(), records.end(), segment.probed.begin(), has_steps))
      throw Error(path, "does not begin the segment's probed steps");
    require_this_program(open_published(path, "grid"));
    require_trained_so(path, records, settings_.sweep, trace);
  });
}

Experiment experiment_of_sweep(const RunDirectory& directory, const std::string& name, Experiment stored) {
  for (const auto& list : {directory.shard_files(name), directory.partial_files(name)})
    for (const SegmentFile& file : list) try {
        const Provenance origin = read_provenance(open_published(file.path, "grid"));
        stored.sweep = parse_stored_experiment(origin.config, file.path).sweep;
        return stored;
      } catch (const Error&) {  // damaged: another one may be whole
      }
  return stored;
}

}  // namespace gradscape
