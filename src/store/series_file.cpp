#include "gradscape/store/series_file.hpp"

#include "gradscape/core/error.hpp"
#include "gradscape/file/dimensions.hpp"

namespace gradscape {
namespace {

void write_dimension(h5::File& file, const SeriesDimension& dimension) {
  if (!dimension.labels.empty()) {
    write_labels(file, dimension.name, dimension.long_name, {dimension.values.begin(), dimension.values.end()},
                 dimension.labels);
    return;
  }
  if (dimension.integer)
    file.write("/" + dimension.name, std::vector<std::int64_t>(dimension.values.begin(), dimension.values.end()));
  else
    file.write("/" + dimension.name, dimension.values);
  make_scale(file, dimension.name, dimension.units, dimension.long_name);
}

}  // namespace

void write_series(const std::string& path, const Provenance& provenance, const Series& series, const Sources& sources) {
  Provenance origin = provenance;
  origin.file_type = series.kind;
  publish_h5(path, origin, [&](h5::File& file) {
    file.set_attribute("/", "Conventions", "CF-1.8");
    sources.write(file);
    for (const SeriesDimension& dimension : series.dimensions) write_dimension(file, dimension);
    for (const SeriesVariable& variable : series.variables) {
      h5::Shape shape;
      std::vector<std::string> scales;
      std::size_t size = 1;
      for (const std::string& name : variable.dimensions) {
        shape.push_back(series.dimension(name).size());
        scales.push_back("/" + name);
        size *= shape.back();
      }
      check(variable.values.size() == size, "a value for every place of a variable's dimensions");
      file.write("/" + variable.name, variable.values.data(), shape);
      describe(file, "/" + variable.name, variable.units, variable.long_name, scales);
    }
  });
}

Series read_series(const std::string& path, const Series& begun) {
  const h5::File file = open_published(path, begun.kind);
  Series series = begun;
  for (SeriesDimension& dimension : series.dimensions) {
    const bool grows = dimension.name == "step";
    const bool same = grows || (file.read<double>("/" + dimension.name) == dimension.values &&
                                (dimension.labels.empty() || read_labels(file, dimension.name) == dimension.labels));
    if (!same) throw Error(path, "has another dimension " + dimension.name);
    if (grows) dimension.values = file.read<double>("/step");
  }
  for (SeriesVariable& variable : series.variables) {
    h5::Shape shape;
    variable.values = file.read<double>("/" + variable.name, &shape);
    h5::Shape expected;
    for (const std::string& name : variable.dimensions) expected.push_back(series.dimension(name).size());
    if (shape != expected) throw Error(path, variable.name + " does not have the extents of its dimensions");
  }
  return series;
}

}  // namespace gradscape
