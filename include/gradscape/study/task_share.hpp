// Which share of a sweep's segments a task of a batch job takes.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace gradscape {

/// Task `index` (0 … count − 1) of `count`.
struct TaskShare {
  int index = 0;
  int count = 1;
};

/// The value of an environment variable; nullptr where it is not set.
using Environment = std::function<const char*(const char*)>;

/// Reads "i/n", or "auto": what task_of_environment() says. UsageError for anything else, for n < 1 and for i not in
/// 0 … n − 1.
TaskShare parse_task(const std::string& text, const Environment& environment);
/// The same in the process's own environment.
TaskShare parse_task(const std::string& text);

/// The task that a launcher has set, first found first: Open MPI (OMPI_COMM_WORLD_RANK and _SIZE), PMI (PMI_RANK and
/// _SIZE), a Slurm array (SLURM_ARRAY_TASK_ID with _MIN, _STEP and _COUNT; _MAX to see gaps), srun (SLURM_PROCID and
/// SLURM_NTASKS). Under mpirun every rank has Slurm's rank 0, and so has the script of every array task: hence this
/// order. A launcher of a single task counts only where no other has more, so `mpirun -n 1` in an array's script takes
/// the array's share. UsageError where none is set (the variables are named), where a variable's companion is missing
/// or no number, and where an array has gaps (as in --array=0,3,4): its tasks' shares would not be all.
TaskShare task_of_environment(const Environment& environment);

/// The task of each segment, by what the segments cost (probed steps; not negative): each task takes neighbours in
/// order, the one on whose part of the whole cost the segment's middle lies. Depends on nothing else, so every task
/// finds the same. No task has more than its part and the dearest segment together; of equal segments none has more
/// than ⌈segments/tasks⌉. Tasks may be left without segments.
std::vector<int> assign_tasks(const std::vector<std::int64_t>& costs, int tasks);

}  // namespace gradscape
