#include "gradscape/study/surface_job.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "gradscape/core/doing.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/core/number.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"
#include "gradscape/landscape/survey_kinds.hpp"
#include "gradscape/store/table_file.hpp"
#include "gradscape/store/trace_file.hpp"
#include "gradscape/study/shard_judge.hpp"
#include "gradscape/study/surface_run.hpp"

namespace gradscape {
namespace {

template <class S>
class SurfaceJob {
 public:
  SurfaceJob(const SurveyId& id, const Experiment& experiment, const RunDirectory& directory)
      : id_(id),
        surface_(id, experiment, directory),
        directory_(directory),
        judge_(directory, id, surface_.settings(), surface_.run().data_fingerprint()),
        provenance_(surface_.run().provenance()) {
    judge_.expect(surface_.begin());
    provenance_.config = to_toml(surface_.settings());
  }

  std::size_t work(const std::optional<TaskShare>& task) {
    judge_.require_none_foreign();
    std::vector<Segment> todo = plan_points(surface_.points());
    if (task) keep_share(todo, *task);
    std::erase_if(todo, [&](const Segment& segment) {
      const ShardCheck found = judge_.check(segment);
      if (found.state == ShardState::damaged) say(fmt::format("{}\n  it is computed again", found.problem));
      if (found.state == ShardState::whole) remove_partial(segment);
      return found.state == ShardState::whole;
    });
    std::int64_t points = 0;
    for (const Segment& segment : todo) points += static_cast<std::int64_t>(segment.probed.size());
    Progress progress(fmt::format("surface {}", id_.name), points, "point");
    for (const Segment& segment : todo) make_shard(segment, progress);
    return todo.size();
  }

 private:
  void keep_share(std::vector<Segment>& segments, const TaskShare& task) const {
    const std::size_t all = segments.size();
    std::vector<std::int64_t> costs;
    for (const Segment& segment : segments) costs.push_back(static_cast<std::int64_t>(segment.probed.size()));
    const std::vector<int> owners = assign_tasks(costs, task.count);
    auto owner = owners.begin();
    std::erase_if(segments, [&](const Segment&) { return *owner++ != task.index; });
    say(fmt::format("task {}/{}: {} of {} pieces", task.index, task.count, segments.size(), all));
  }

  void make_shard(const Segment& segment, Progress& progress) {
    ShardCheck begun = judge_.begun(segment, WholeTrace{});
    if (!begun.problem.empty() && std::filesystem::exists(partial_path(segment)))
      say(fmt::format("{}\n  it is ignored", begun.problem));
    Table made = surface_.begin();
    const auto publish = [&](const std::string& path) {
      write_table(path, provenance_, begun.rows.size() == 0 ? made : unite_rows(made, begun.rows));
    };
    for (const std::int64_t key : segment.probed) {
      if (interrupted()) {
        if (made.size() > 0) publish(partial_path(segment));
        throw interruption(directory_.root(), "complete pieces and the points of this one are saved",
                           "the same command continues");
      }
      if (begun.rows.size() == 0 || begun.rows.find_row(static_cast<double>(key)) == begun.rows.size())
        surface_.add(key, made);
      progress.update(
          ++done_, made.size() > 0 ? fmt::format("loss {:.4f}", printable(made.variable("loss").values.back())) : "");
    }
    publish(directory_.shard_path(id_, segment.first, segment.last));
    remove_partial(segment);
  }

  std::string partial_path(const Segment& segment) const {
    return directory_.partial_path(id_, segment.first, segment.last);
  }

  void remove_partial(const Segment& segment) const {
    std::error_code ignored;  // it may be gone, and does no harm
    std::filesystem::remove(partial_path(segment), ignored);
  }

  SurveyId id_;
  SurfaceRun<S> surface_;
  const RunDirectory& directory_;
  ShardJudge judge_;
  Provenance provenance_;
  std::int64_t done_ = 0;
};

}  // namespace

std::size_t surface_run(const SurveyId& id, const Experiment& experiment, const RunDirectory& directory,
                        const std::optional<TaskShare>& task) {
  const Doing doing(id.kind, directory.root());
  return with_precision(experiment, [&]<class S>() { return SurfaceJob<S>(id, experiment, directory).work(task); });
}

}  // namespace gradscape
