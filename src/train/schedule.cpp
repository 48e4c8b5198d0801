#include "gradscape/train/schedule.hpp"

#include <cmath>
#include <numbers>

#include "gradscape/core/named_table.hpp"

namespace gradscape {
namespace {

struct Schedule {
  bool depends_on_total;
  double (*rate)(const TrainOptions&, double step, double total);
};

double constant(const TrainOptions& options, double, double) {
  return options.lr;
}

double stepwise(const TrainOptions& options, double step, double) {
  return options.lr * std::pow(options.schedule_gamma, std::floor(step / static_cast<double>(options.schedule_step)));
}

double cosine(const TrainOptions& options, double step, double total) {
  return options.lr_min + (options.lr - options.lr_min) * (1.0 + std::cos(std::numbers::pi * step / total)) / 2.0;
}

/// Half a cosine from `from` (at part 0) to `to` (at part 1).
double annealed(double from, double to, double part) {
  return to + (from - to) / 2.0 * (1.0 + std::cos(std::numbers::pi * part));
}

/// torch.optim.lr_scheduler.OneCycleLR, annealing by cosines, momentum left alone.
double one_cycle(const TrainOptions& options, double step, double total) {
  const double first = options.lr / options.cycle_first, last = first / options.cycle_last;
  const double top = options.cycle_rise * total - 1.0, end = total - 1.0;
  if (step <= top) return annealed(first, options.lr, top > 0 ? step / top : 1.0);
  return annealed(options.lr, last, (step - top) / (end - top));
}

const NamedTable<Schedule>& schedules() {
  static const NamedTable<Schedule> table("schedule", {{"constant", {false, constant}},
                                                       {"step", {false, stepwise}},
                                                       {"cosine", {true, cosine}},
                                                       {"onecycle", {true, one_cycle}}});
  return table;
}

}  // namespace

const std::vector<std::string>& schedule_names() {
  return schedules().names();
}

std::int64_t total_steps(const TrainOptions& options, Index steps_per_epoch) {
  return options.steps > 0 ? options.steps : options.epochs * steps_per_epoch;
}

double learning_rate(const TrainOptions& options, std::int64_t step, std::int64_t total) {
  const auto t = static_cast<double>(step), warm = static_cast<double>(options.warmup_steps);
  const auto rate = [&](double since) {
    return schedules().find(options.schedule).rate(options, since, static_cast<double>(total) - warm);
  };
  if (t >= warm) return rate(t - warm);
  return rate(0) * (options.warmup_factor + (1.0 - options.warmup_factor) * t / warm);
}

bool depends_on_total(const std::string& name) {
  return schedules().find(name).depends_on_total;
}

}  // namespace gradscape
