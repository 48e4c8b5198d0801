#include "gradscape/study/task_share.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>
#include <optional>

#include "gradscape/core/error.hpp"

namespace gradscape {
namespace {

/// The whole of `text` as a number.
std::optional<int> whole_number(const std::string& text) {
  int value = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (code != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A variable that must be there because another one is.
int need(const Environment& environment, const char* name, const char* because) {
  const char* text = environment(name);
  if (text == nullptr)
    throw UsageError("--task auto", fmt::format("{} is set, but {} is not", because, name),
                     "--task i/n names the share without the environment");
  const auto value = whole_number(text);
  if (!value)
    throw UsageError("--task auto", fmt::format("{} is \"{}\", which is no whole number", name, abridge(text)),
                     "--task i/n names the share without the environment");
  return *value;
}

TaskShare checked(int index, int count, const std::string& where) {
  if (count < 1)
    throw UsageError(where, fmt::format("{} tasks cannot share anything", count), "i/n with n of 1 or more");
  if (index < 0 || index >= count)
    throw UsageError(where, fmt::format("there is no task {} of {}", index, count),
                     fmt::format("tasks count from 0: 0/{0} to {1}/{0}", count, count - 1));
  return {index, count};
}

/// A rank and the number of ranks, where the rank is set.
std::optional<TaskShare> ranks(const Environment& environment, const char* rank, const char* size) {
  if (environment(rank) == nullptr) return std::nullopt;
  return checked(need(environment, rank, rank), need(environment, size, rank), fmt::format("{} and {}", rank, size));
}

/// The place in a Slurm array, whose identifiers are min, min + step, … : 1, 4 and 7 for --array=1-7:3.
std::optional<TaskShare> array_place(const Environment& environment) {
  constexpr const char* kId = "SLURM_ARRAY_TASK_ID";
  if (environment(kId) == nullptr) return std::nullopt;
  const int id = need(environment, kId, kId);
  const int min = need(environment, "SLURM_ARRAY_TASK_MIN", kId);
  const int max = need(environment, "SLURM_ARRAY_TASK_MAX", kId);
  const int step = need(environment, "SLURM_ARRAY_TASK_STEP", kId);
  const int count = need(environment, "SLURM_ARRAY_TASK_COUNT", kId);
  if (step < 1 || id < min || id > max || (id - min) % step != 0 || (max - min) / step + 1 != count)
    throw UsageError(
        "--task auto",
        fmt::format("task {} of a Slurm array of {} from {} to {} in steps of {}: the array has gaps, and nobody would "
                    "take the shares in them",
                    id, count, min, max, step),
        "--task $SLURM_ARRAY_TASK_ID/n, with the n of the whole array");
  return checked((id - min) / step, count, kId);
}

}  // namespace

TaskShare task_of_environment(const Environment& environment) {
  std::optional<TaskShare> single;
  const auto several = [&](const std::optional<TaskShare>& found) {
    if (found && !single) single = found;
    return found && found->count > 1;
  };
  if (const auto found = ranks(environment, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"); several(found))
    return *found;
  if (const auto found = ranks(environment, "PMI_RANK", "PMI_SIZE"); several(found)) return *found;
  // An array of one is an array still: the script's own rank says nothing more.
  if (const auto found = array_place(environment)) return *found;
  // A batch script without srun has a rank, but no number of tasks unless some were asked for.
  if (environment("SLURM_NTASKS") != nullptr)
    if (const auto found = ranks(environment, "SLURM_PROCID", "SLURM_NTASKS"); several(found)) return *found;
  if (single) return *single;
  throw UsageError("--task auto",
                   "no launcher has set a task: none of OMPI_COMM_WORLD_RANK, PMI_RANK, SLURM_ARRAY_TASK_ID, and "
                   "SLURM_PROCID with SLURM_NTASKS",
                   "start it with mpirun, srun or a Slurm array, or give --task i/n");
}

TaskShare parse_task(const std::string& text, const Environment& environment) {
  if (text == "auto") return task_of_environment(environment);
  const std::size_t slash = text.find('/');
  const auto index = whole_number(text.substr(0, slash));
  const auto count = slash == std::string::npos ? std::nullopt : whole_number(text.substr(slash + 1));
  if (!index || !count)
    throw UsageError("--task", fmt::format("\"{}\" names no task", abridge(text)),
                     "i/n, as in 0/4 for the first of four, or auto");
  return checked(*index, *count, "--task");
}

TaskShare parse_task(const std::string& text) {
  return parse_task(text, [](const char* name) { return std::getenv(name); });
}

std::vector<int> assign_tasks(const std::vector<std::int64_t>& costs, int tasks) {
  check(tasks >= 1, "there is a task");
  const std::int64_t total = std::accumulate(costs.begin(), costs.end(), std::int64_t{0});
  std::vector<int> assigned;
  assigned.reserve(costs.size());
  std::int64_t before = 0;
  for (const std::int64_t cost : costs) {
    check(cost >= 0, "costs are not negative");
    // (before + cost/2)/total, in halves so that whole numbers decide. The last segment may cost nothing.
    const std::int64_t task = total == 0 ? 0 : (2 * before + cost) * tasks / (2 * total);
    assigned.push_back(static_cast<int>(std::min<std::int64_t>(task, tasks - 1)));
    before += cost;
  }
  return assigned;
}

}  // namespace gradscape
