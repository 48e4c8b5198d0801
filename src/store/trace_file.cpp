#include "gradscape/store/trace_file.hpp"

#include <fmt/format.h>

#include <iterator>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/core/parallel.hpp"

namespace gradscape {
namespace {

/// The variables of a trace, one row each: adding one is one line here and one in the record.
template <class Record>
struct Column {
  const char* name;
  const char* units;
  const char* long_name;
  double Record::*value;
};

constexpr Column<TraceRecord> kStepColumns[] = {
    {"loss", "loss", "training loss of the step's batch, before the update", &TraceRecord::loss},
    {"accuracy", "1", "fraction of the batch classified right", &TraceRecord::accuracy},
    {"lr", "1", "learning rate", &TraceRecord::lr},
    {"grad_norm", "loss/weight", "L2 norm of the gradient over all parameters", &TraceRecord::grad_norm},
    {"theta_norm", "weight", "L2 norm of the parameters before the update", &TraceRecord::theta_norm},
    {"update_norm", "weight", "L2 norm of the update", &TraceRecord::update_norm},
    {"seconds", "s", "wall time of the step without probes", &TraceRecord::seconds},
};

constexpr Column<TestRecord> kTestColumns[] = {
    {"test_loss", "loss", "loss on the test images in evaluation mode", &TestRecord::loss},
    {"test_accuracy", "1", "fraction of the test images classified right", &TestRecord::accuracy},
};

template <class Record, std::size_t N>
void write_columns(h5::File& file, const std::string& scale, const std::vector<Record>& records,
                   const Column<Record> (&columns)[N]) {
  std::vector<std::int64_t> steps;
  for (const auto& record : records) steps.push_back(record.step);
  file.write("/" + scale, steps);
  file.make_scale("/" + scale, scale);
  file.set_attribute("/" + scale, "units", "step");
  file.set_attribute("/" + scale, "long_name", "training step: number of updates done");
  for (const auto& column : columns) {
    const std::string name = std::string("/") + column.name;
    std::vector<double> values;
    for (const auto& record : records) values.push_back(record.*column.value);
    file.write(name, values);
    file.set_attribute(name, "units", column.units);
    file.set_attribute(name, "long_name", column.long_name);
    file.attach_scale(name, "/" + scale, 0);
  }
}

template <class Record, std::size_t N>
std::vector<Record> read_columns(const h5::File& file, const std::string& scale, const Column<Record> (&columns)[N]) {
  const auto steps = file.read<std::int64_t>("/" + scale);
  std::vector<Record> records(steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) records[i].step = steps[i];
  for (const auto& column : columns) {
    const auto values = file.read<double>(std::string("/") + column.name);
    if (values.size() != steps.size())
      throw Error(file.path(), std::string(column.name) + " and " + scale + " have different lengths");
    for (std::size_t i = 0; i < steps.size(); ++i) records[i].*column.value = values[i];
  }
  return records;
}

}  // namespace

void write_trace(const std::string& path, const Provenance& provenance, const Trace& trace) {
  Provenance origin = provenance;
  origin.file_type = "trace";
  publish_h5(path, origin, [&](h5::File& file) {
    write_columns(file, "step", trace.steps, kStepColumns);
    write_columns(file, "test_step", trace.tests, kTestColumns);
    file.set_attribute("/seconds", "threads", std::int64_t{parallel::threads()});
  });
}

Trace read_trace(const std::string& path) {
  const h5::File file = open_published(path, "trace");
  return {read_columns(file, "step", kStepColumns), read_columns(file, "test_step", kTestColumns)};
}

WholeTrace read_whole_trace(const RunDirectory& directory, std::int64_t first, std::int64_t last) {
  WholeTrace whole;
  for (const SegmentFile& segment : directory.trace_files()) {
    if (segment.last <= first || segment.first >= last) continue;
    const Trace trace = read_trace(segment.path);
    for (const auto& record : trace.steps)
      if (record.step >= first && record.step < last) whole.steps.emplace(record.step, record);
    for (const auto& record : trace.tests)
      if (record.step > first && record.step <= last) whole.tests.emplace(record.step, record);
  }
  return whole;
}

std::vector<TraceHole> find_trace_holes(const RunDirectory& directory, const std::vector<std::int64_t>& checkpoints) {
  std::set<std::int64_t> recorded;
  std::vector<std::pair<SegmentFile, std::string>> damaged;
  for (const SegmentFile& segment : directory.trace_files()) try {
      for (const TraceRecord& record : read_trace(segment.path).steps) recorded.insert(record.step);
    } catch (const Error& error) {
      if (!is_damage(error)) throw;
      damaged.emplace_back(segment, error.what());
    }
  std::vector<TraceHole> holes;
  for (std::size_t i = 0; i + 1 < checkpoints.size(); ++i) {
    TraceHole hole{checkpoints[i], checkpoints[i + 1], {}, ""};
    for (const auto& [segment, problem] : damaged)
      if (segment.first < hole.last && segment.last > hole.first) {
        hole.damaged.push_back(segment.path);
        hole.problem = problem;
      }
    const auto from = recorded.lower_bound(hole.first), to = recorded.lower_bound(hole.last);
    const std::int64_t missing = hole.last - hole.first - std::distance(from, to);
    if (missing == 0 && hole.damaged.empty()) continue;
    if (hole.problem.empty())
      hole.problem = fmt::format("{}: is missing or incomplete: {} of the steps {} to {} are not recorded",
                                 directory.trace_path(hole.first, hole.last), missing, hole.first, hole.last - 1);
    holes.push_back(std::move(hole));
  }
  return holes;
}

}  // namespace gradscape
