#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include "gradscape/cli/verbs.hpp"
#include "gradscape/core/error.hpp"
#include "gradscape/exchange/goldstein.hpp"
#include "gradscape/exchange/surface_formats.hpp"
#include "gradscape/exchange/surface_table.hpp"
#include "gradscape/store/publish.hpp"
#include "gradscape/store/run_directory.hpp"
#include "gradscape/store/table_file.hpp"

namespace gradscape {
namespace {

namespace fs = std::filesystem;

struct Format {
  const char* name;
  const char* suffix;
  std::vector<std::string> (*write)(const std::string& path, const Table& table, std::size_t repeat, Height height);
};

constexpr Format kFormats[] = {
    {"goldstein", "-goldstein.h5",
     [](const std::string& path, const Table& table, std::size_t repeat, Height) {
       return write_goldstein(path, table, repeat);
     }},
    {"vtk", ".vts",
     [](const std::string& path, const Table& table, std::size_t repeat, Height height) {
       write_vts(path, table, repeat, height);
       return std::vector{path};
     }},
    {"csv", ".csv",
     [](const std::string& path, const Table& table, std::size_t, Height) {
       write_surface_csv(path, table);
       return std::vector{path};
     }},
    {"npz", ".npz",
     [](const std::string& path, const Table& table, std::size_t repeat, Height) {
       write_surface_npz(path, table, repeat);
       return std::vector{path};
     }},
};

std::vector<std::string> format_names() {
  std::vector<std::string> names;
  for (const Format& format : kFormats) names.emplace_back(format.name);
  return names;
}

const Format& format_from(const std::string& text) {
  const auto found =
      std::find_if(std::begin(kFormats), std::end(kFormats), [&](const Format& f) { return f.name == text; });
  if (found == std::end(kFormats))
    throw UsageError("--to", fmt::format("\"{}\" is no format", abridge(text)),
                     fmt::format("allowed: {}", fmt::join(format_names(), " | ")));
  return *found;
}

Height height_from(const std::string& text) {
  if (text == "loss") return Height::loss;
  if (text == "log") return Height::log_loss;
  if (text == "flat") return Height::flat;
  throw UsageError("--height", fmt::format("\"{}\" is no height", abridge(text)), "allowed: loss | log | flat");
}

/// `verify`, `status` and `train --force` take every HDF5 file in a run's folder for one of the run's.
void require_outside_of_runs(const fs::path& out) {
  const fs::path folder = out.has_parent_path() ? out.parent_path() : fs::path(".");
  if (out.extension() == ".h5" && RunDirectory(folder.string()).holds_run())
    throw UsageError("--out", fmt::format("{} would lie among a run's own files", out.string()),
                     "name a file in another folder");
}

struct ExportCommand {
  std::string from;
  const Format* format = nullptr;
  std::string out;
  std::optional<std::int64_t> repeat;
  Height height = Height::loss;
};

/// The places of the repeats to write.
std::vector<std::size_t> chosen_repeats(const ExportCommand& command, const Table& table) {
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < table.size(); ++i)
    if (!command.repeat || table.rows().values[i] == static_cast<double>(*command.repeat)) places.push_back(i);
  if (places.empty()) throw UsageError("--repeat", fmt::format("{} has no repeat {}", command.from, *command.repeat));
  return places;
}

/// What is written beside `out`, a repeat's file or a companion of it, has its name and "_" and more.
void require_another_file(const fs::path& out, const fs::path& from) {
  std::error_code code;
  const fs::path here = out.has_parent_path() ? out.parent_path() : fs::path("."),
                 there = from.has_parent_path() ? from.parent_path() : fs::path(".");
  const bool beside = fs::equivalent(here, there, code) && from.extension() == out.extension() &&
                      from.stem().string().starts_with(out.stem().string() + "_");
  if (beside || fs::equivalent(out, from, code))
    throw UsageError("--out",
                     fmt::format("{} {} what is exported, {}", out.string(),
                                 beside ? "and its companions might replace" : "is", from.string()),
                     "name another file");
}

void export_surface(const ExportCommand& command) {
  const Table table = read_surface(command.from);
  const fs::path out =
      command.out.empty() ? fs::path(command.from).replace_extension().string() + command.format->suffix : command.out;
  require_another_file(out, command.from);
  require_outside_of_runs(out);
  std::vector<std::size_t> repeats = chosen_repeats(command, table);
  if (command.format->name == std::string("csv")) {
    if (command.repeat) throw UsageError("--repeat", "does not go with csv, which holds all repeats");
    repeats = {0};
  }
  for (const std::size_t repeat : repeats) {
    fs::path path = out;
    if (repeats.size() > 1)
      path.replace_filename(
          fmt::format("{}_{}{}", out.stem().string(), table.rows().values[repeat], out.extension().string()));
    for (const std::string& made : command.format->write(path.string(), table, repeat, command.height))
      print_path(made);
  }
}

struct ImportCommand {
  GoldsteinFiles files;
  std::string out;
};

void import_surface(const ImportCommand& command) {
  if (!command.files.projection.empty() && command.files.directions.empty() && !has_multiples(command.files.projection))
    throw UsageError("--projection", "needs --directions", "a path's coordinates are lengths along them");
  if (owner_of(command.files.surface) == Owner::gradscape)
    throw UsageError(command.files.surface, "is a file of gradscape", "tools/plot.py surface draws it as it is");
  require_outside_of_runs(command.out);
  const Table table = read_goldstein(command.files);
  std::error_code code;
  for (const std::string& file : {command.files.surface, command.files.directions, command.files.projection})
    if (!file.empty() && fs::equivalent(command.out, file, code))
      throw UsageError("--out", fmt::format("{} is what is imported", command.out), "name another file");
  Provenance origin;
  origin.name = fs::path(command.files.surface).filename().string();
  write_table(command.out, origin, table);
  print_path(command.out);
}

}  // namespace

void add_export_surface(VerbList& verbs) {
  Verb verb = verbs.add("export-surface", "A surface for loss-landscape, ParaView, NumPy, or as text");
  auto command = std::make_shared<ExportCommand>();
  verb.option("FILE", command->from, "a merged surface: surface.h5, surface-NAME.h5").required();
  verb.text(
          "--to", [command](const std::string& text) { command->format = &format_from(text); },
          "goldstein: h5 of tomgoldstein/loss-landscape; vtk: .vts; csv; npz")
      .required()
      .type_name("FORMAT")
      .choices(format_names());
  verb.option("--out", command->out, "the file to write (default: FILE with another ending; .h5 not in a run)")
      .type_name("FILE");
  verb.option("--repeat", command->repeat, "only this one (default: all, as FILE_0, FILE_1, …; csv holds all)")
      .type_name("N");
  verb.text(
          "--height", [command](const std::string& text) { command->height = height_from(text); },
          "of vtk: loss (default) | log, its decimal logarithm | flat")
      .type_name("NAME")
      .choices({"loss", "log", "flat"});
  verb.example("gradscape export-surface runs/a/surface.h5 --to vtk", "surface.vts, for ParaView");
  verb.example("gradscape export-surface runs/a/surface.h5 --to goldstein --out a.h5", "for its plot_2D.py");
  verb.ignores({"--threads", "--isa"});
  verb.runs([command] { export_surface(*command); });
}

void add_import_surface(VerbList& verbs) {
  Verb verb = verbs.add("import-surface", "A surface of tomgoldstein/loss-landscape as surface-NAME.h5");
  auto command = std::make_shared<ImportCommand>();
  verb.option("FILE", command->files.surface, "its surface file: xcoordinates, ycoordinates, train_loss, …").required();
  verb.option("--directions", command->files.directions, "its direction file: norms, cosine, variances")
      .type_name("FILE");
  verb.option("--projection", command->files.projection,
              "its file ..._proj_cos.h5 or ..._proj_lstsq.h5: the path of training")
      .type_name("FILE");
  verb.option("--out", command->out, "the file to write, surface-NAME.h5").required().type_name("FILE");
  verb.example("gradscape import-surface resnet56.h5 --out surface-resnet56.h5", "then: tools/plot.py surface");
  verb.ignores({"--threads", "--isa"});
  verb.runs([command] { import_surface(*command); });
}

}  // namespace gradscape
