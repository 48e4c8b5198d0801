#include "gradscape/exchange/weights.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <set>

#include "gradscape/core/error.hpp"
#include "gradscape/core/nearest.hpp"
#include "gradscape/core/split.hpp"
#include "gradscape/store/publish.hpp"

namespace gradscape {
namespace {

constexpr std::size_t kShown = 6;  // of what differs

std::string shape_text(const std::vector<Index>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

bool is_counter(const std::string& name) {
  return name == "num_batches_tracked" || name.ends_with(".num_batches_tracked");
}

/// Words that other programs put into names, without which two names are the same.
std::string plain_name(const std::string& name) {
  static const std::set<std::string> wrappers = {"module", "_orig_mod"};
  static const std::set<std::string> roots = {"model", "net", "network", "backbone"};
  std::vector<std::string> parts;
  for (const std::string& part : split(name, '.'))
    if (!wrappers.contains(part) && !(parts.empty() && roots.contains(part))) parts.push_back(part);
  return fmt::format("{}", fmt::join(parts, "."));
}

/// What was taken off: the words that `longer` has and `shorter` has not.
std::string taken_off(const std::string& longer, const std::string& shorter) {
  const std::vector<std::string> kept = split(shorter, '.');
  std::string text;
  std::size_t next = 0;
  for (const std::string& part : split(longer, '.'))
    if (next < kept.size() && kept[next] == part)
      ++next;
    else
      text += part + ".";
  return text;
}

/// Permutation of axes that turns the file's shape into the network's: file axis `order[i]` becomes axis i.
struct Turn {
  std::vector<std::size_t> order;
  std::string note;
};

std::optional<Turn> find_turn(const std::vector<Index>& file, const std::vector<Index>& network) {
  if (file == network) return Turn{};
  const auto turned = [&](const std::vector<std::size_t>& order) {
    std::vector<Index> shape;
    for (const std::size_t axis : order) shape.push_back(file[axis]);
    return shape == network;
  };
  if (file.size() == 4 && network.size() == 4 && turned({3, 2, 0, 1}))
    return Turn{{3, 2, 0, 1}, "turned from [height, width, in, out]"};
  if (file.size() == 2 && network.size() == 2 && turned({1, 0})) return Turn{{1, 0}, "transposed from [in, out]"};
  return std::nullopt;
}

std::vector<double> turn(const std::vector<double>& values, const std::vector<Index>& shape, const Turn& how) {
  if (how.order.empty()) return values;
  std::vector<Index> strides(shape.size(), 1);
  for (std::size_t axis = shape.size() - 1; axis-- > 0;) strides[axis] = strides[axis + 1] * shape[axis + 1];
  std::vector<double> turned;
  turned.reserve(values.size());
  std::vector<Index> at(shape.size(), 0);
  for (std::size_t i = 0; i < values.size(); ++i) {
    Index offset = 0;
    for (std::size_t axis = 0; axis < at.size(); ++axis) offset += at[axis] * strides[how.order[axis]];
    turned.push_back(values[static_cast<std::size_t>(offset)]);
    for (std::size_t axis = at.size(); axis-- > 0;) {
      if (++at[axis] < shape[how.order[axis]]) break;
      at[axis] = 0;
    }
  }
  return turned;
}

/// What a network with the file's tensor in the place of `part` would be, where that can be told.
std::string guess(const Part& part, const std::vector<Index>& found, bool first, bool last) {
  if (found.size() == 4 && part.shape.size() == 4) {
    if (first && found[2] >= 7 && part.shape[2] < found[2]) return ": an ImageNet stem";
    if (first && found[1] != part.shape[1]) return fmt::format(": images of {} channels", found[1]);
    if (found[0] != part.shape[0] && found[2] == part.shape[2]) return ": another width";
    if (found[2] != part.shape[2]) return ": another kernel, as of a bottleneck block";
  }
  if (last && found.size() == 2 && part.shape.size() == 2 && found[1] == part.shape[1])
    return fmt::format(": {} classes", found[0]);
  return "";
}

class Matcher {
 public:
  Matcher(const SafetensorsFile& file, const Layout& parameters, const Layout& buffers)
      : file_(file), parameters_(parameters), buffers_(buffers) {
    for (const Part& part : parameters.parts()) wanted_.push_back(&part);
    for (const Part& part : buffers.parts()) wanted_.push_back(&part);
  }

  Weights match(const WeightMap& map) {
    find_pairs(map);
    require_all();
    Weights weights;
    weights.theta.resize(parameters_.size());
    weights.buffers.resize(buffers_.size());
    fill(parameters_, weights.theta);
    fill(buffers_, weights.buffers);
    weights.report = report_;
    return weights;
  }

 private:
  /// Pairs that `name_of` finds: the file's tensor whose name, told by it, is a tensor of the network.
  std::map<std::string, std::string> pairs_by(const std::function<std::string(const std::string&)>& name_of) const {
    std::map<std::string, std::string> pairs;  // the network's name → the file's
    std::set<std::string> twice;
    for (const StoredTensor& tensor : file_.tensors())
      if (!pairs.emplace(name_of(tensor.name), tensor.name).second) twice.insert(name_of(tensor.name));
    for (const std::string& name : twice) pairs.erase(name);
    std::erase_if(pairs, [&](const auto& pair) { return part_of(pair.first) == nullptr; });
    return pairs;
  }

  const Part* part_of(const std::string& name) const {
    for (const Part* part : wanted_)
      if (part->name == name) return part;
    return nullptr;
  }

  /// Whether every parameter has a pair.
  bool covers(const std::map<std::string, std::string>& pairs) const {
    return std::all_of(parameters_.parts().begin(), parameters_.parts().end(),
                       [&](const Part& part) { return pairs.contains(part.name); });
  }

  void find_pairs(const WeightMap& map) {
    if (!map.empty()) {
      for (const auto& [from, to] : map) {
        if (file_.find(from) == nullptr) throw UsageError("--map", fmt::format("the file has no tensor {}", from));
        if (part_of(to) == nullptr) throw UsageError("--map", fmt::format("the network has no tensor {}", to));
      }
      pairs_ = pairs_by([&](const std::string& name) { return map.contains(name) ? map.at(name) : name; });
      report_.how = "by map";
      return;
    }
    pairs_ = pairs_by([](const std::string& name) { return name; });
    report_.how = "by name";
    if (covers(pairs_)) return;
    std::map<std::string, std::string> places;  // names without what others put into them → the network's
    for (const Part* part : wanted_) places.emplace(plain_name(part->name), part->name);
    const auto plain = pairs_by([&](const std::string& name) {
      const auto place = places.find(plain_name(name));
      return place == places.end() ? name : place->second;
    });
    if (covers(plain)) {
      pairs_ = plain;
      std::set<std::string> off;
      for (const auto& [name, from] : plain)
        if (name != from) off.insert(from.size() > name.size() ? taken_off(from, name) : "its prefix");
      report_.how = fmt::format("by name without {}", fmt::join(off, ", "));
      return;
    }
    if (const auto ordered = pairs_by_order(); !ordered.empty()) {
      pairs_ = ordered;
      report_.how = "by order and shape";
    }
  }

  /// The file's tensors that look like parameters, or like running statistics, in pairs with the network's in order;
  /// empty unless all shapes agree.
  std::map<std::string, std::string> pairs_by_order() const {
    const auto is_statistic = [](const std::string& name) {
      for (const char* end :
           {"running_mean", "running_var", "running_scale", "moving_mean", "moving_variance", "mean", "var"})
        if (name == end || name.ends_with(std::string(".") + end) || name.ends_with(std::string("/") + end))
          return true;
      return false;
    };
    std::vector<const StoredTensor*> weights, statistics;
    for (const StoredTensor& tensor : file_.tensors())
      if (!is_counter(tensor.name)) (is_statistic(tensor.name) ? statistics : weights).push_back(&tensor);
    std::map<std::string, std::string> pairs;
    const auto pair_up = [&](const std::vector<const StoredTensor*>& found, const Layout& layout) {
      std::size_t next = 0;
      for (const Part& part : layout.parts()) {
        if (part.integer) continue;
        if (next >= found.size() || found[next]->shape != part.shape) return false;
        pairs.emplace(part.name, found[next++]->name);
      }
      return next == found.size();
    };
    if (!pair_up(weights, parameters_) || (!statistics.empty() && !pair_up(statistics, buffers_))) return {};
    return pairs;
  }

  const Part& last_weight() const {
    const Part* last = nullptr;
    for (const Part& part : parameters_.parts())
      if (part.role == Role::weight) last = &part;
    return *last;
  }

  /// Error unless all tensors have their place and shape; what may miss goes to the report.
  void require_all() {
    const auto& parts = parameters_.parts();
    for (const Part* part : wanted_) {
      const auto pair = pairs_.find(part->name);
      if (pair == pairs_.end()) continue;
      const std::vector<Index>& found = file_.find(pair->second)->shape;
      if (!find_turn(found, part->shape))
        throw Error(file_.path(),
                    fmt::format("is of another network: its {} is {}, the network's {} is {}{}", pair->second,
                                shape_text(found), part->name, shape_text(part->shape),
                                guess(*part, found, part == &parts.front(),
                                      part == &last_weight() || part->layer == last_weight().layer)),
                    "export the network again with these weights, or train it here");
    }
    std::vector<std::string> missing, extra;
    std::size_t again = 0;  // of the extra ones: the network's under another prefix
    for (const Part& part : parts)
      if (!pairs_.contains(part.name)) missing.push_back(fmt::format("{} {}", part.name, shape_text(part.shape)));
    std::set<std::string> used;
    for (const auto& [name, from] : pairs_) used.insert(from);
    for (const StoredTensor& tensor : file_.tensors()) {
      if (used.contains(tensor.name)) continue;
      if (is_counter(tensor.name)) {
        report_.ignored.push_back(tensor.name);
        continue;
      }
      extra.push_back(fmt::format("{} {}", tensor.name, shape_text(tensor.shape)));
      again += std::any_of(wanted_.begin(), wanted_.end(),
                           [&](const Part* part) { return tensor.name.ends_with("." + part->name); });
    }
    if (missing.empty() && !extra.empty() && again == extra.size())
      throw Error(file_.path(), fmt::format("holds the network's tensors twice: also as {}", extra.front()),
                  "weights and their moving average? export one of them: key= of tools/from_pytorch.py");
    if (!missing.empty() || !extra.empty()) throw mismatch(missing, extra);
  }

  Error mismatch(const std::vector<std::string>& missing, const std::vector<std::string>& extra) const {
    std::string text;
    const auto list = [&](const char* title, const std::vector<std::string>& names,
                          const std::vector<std::string>& near) {
      for (std::size_t i = 0; i < names.size(); ++i) {
        if (i == 0) text += fmt::format("\n  {} ({}):", title, names.size());
        if (i == kShown) {
          text += "\n    …";
          break;
        }
        const std::string close = nearest(names[i], near);
        text += fmt::format("\n    {}{}", names[i], close.empty() ? "" : "   near: " + close);
      }
    };
    list("the network has, the file has not", missing, extra);
    list("the file has, the network has not", extra, {});
    return Error(file_.path(), "is of another network, or has other names:" + text,
                 "where only names differ, --map FILE with lines \"NAME_IN_FILE = NAME_IN_NETWORK\"");
  }

  void fill(const Layout& layout, Vector<double>& to) {
    for (const Part& part : layout.parts()) {
      const auto pair = pairs_.find(part.name);
      if (pair == pairs_.end()) {
        fill_default(part, to);
        continue;
      }
      const StoredTensor& tensor = *file_.find(pair->second);
      if (part.integer) {
        const auto counts = file_.read_counts(tensor.name);
        to[part.offset] = static_cast<double>(counts.front());
        continue;
      }
      const Turn how = *find_turn(tensor.shape, part.shape);
      const std::vector<double> values = turn(file_.read(tensor.name), tensor.shape, how);
      std::copy(values.begin(), values.end(), to.data() + part.offset);
      report_.matches.push_back({part.name, tensor.name, how.note});
      if (part.role == Role::statistic) require_statistic(part, tensor.name, values);
    }
  }

  /// Running statistics that the file lacks: mean 0, spread 1, no batches.
  void fill_default(const Part& part, Vector<double>& to) {
    check(part.role == Role::statistic, "parameters are all there");
    const bool mean = part.name.ends_with("running_mean");
    to.segment(part.offset, part.size).setConstant(mean || part.integer ? 0.0 : 1.0);
    if (mean) report_.no_statistics.push_back(part.layer);
  }

  void require_statistic(const Part& part, const std::string& name, const std::vector<double>& values) {
    if (part.name.ends_with("running_mean")) {
      if (std::any_of(values.begin(), values.end(), [](double v) { return !std::isfinite(v); }))
        throw Error(file_.path(), fmt::format("{} holds numbers that are not finite", name),
                    "the training that made it diverged");
      return;
    }
    if (std::any_of(values.begin(), values.end(), [](double v) { return !(v >= 0) || !std::isfinite(v); }))
      throw Error(file_.path(), fmt::format("{} holds numbers that are no variances: NaN, infinite or below 0", name),
                  "the training that made it diverged, or it is another tensor");
    if (std::all_of(values.begin(), values.end(), [](double v) { return v == 1.0; })) untouched_.insert(part.layer);
    const auto norms = std::count_if(buffers_.parts().begin(), buffers_.parts().end(), [](const Part& other) {
      return !other.integer && !other.name.ends_with("running_mean");
    });
    if (static_cast<std::ptrdiff_t>(untouched_.size()) == norms)
      report_.remarks.push_back(
          "all running variances are 1: its norms were never trained, or their statistics are lost");
  }

  const SafetensorsFile& file_;
  const Layout& parameters_;
  const Layout& buffers_;
  std::vector<const Part*> wanted_;
  std::map<std::string, std::string> pairs_;
  std::set<std::string> untouched_;
  WeightReport report_;
};

}  // namespace

WeightMap parse_weight_map(const std::string& text, const std::string& where) {
  WeightMap map;
  std::size_t number = 0;
  for (std::string line : split(text, '\n')) {
    ++number;
    line = line.substr(0, line.find('#'));
    const auto trimmed = [](std::string part) {
      part.erase(0, std::min(part.find_first_not_of(" \t\r"), part.size()));
      part.erase(part.find_last_not_of(" \t\r") + 1);
      return part;
    };
    if (trimmed(line).empty()) continue;
    const std::vector<std::string> sides = split(line, '=');
    if (sides.size() != 2 || trimmed(sides[0]).empty() || trimmed(sides[1]).empty())
      throw UsageError(fmt::format("{}:{}", where, number),
                       fmt::format("\"{}\" is no pair of names", abridge(trimmed(line))),
                       "NAME_IN_FILE = NAME_IN_NETWORK");
    if (!map.emplace(trimmed(sides[0]), trimmed(sides[1])).second)
      throw UsageError(fmt::format("{}:{}", where, number), fmt::format("{} is there twice", trimmed(sides[0])));
  }
  return map;
}

Weights match_weights(const SafetensorsFile& file, const Layout& parameters, const Layout& buffers,
                      const WeightMap& map) {
  return Matcher(file, parameters, buffers).match(map);
}

template <class S>
void export_weights(const std::string& path, const Layout& parameters, const Layout& buffers, const Vector<S>& theta,
                    const Vector<S>& buffer_values, const std::map<std::string, std::string>& metadata) {
  std::vector<TensorValues> tensors;
  std::vector<std::int64_t> counters;
  counters.reserve(buffers.parts().size());  // spans of them are kept
  const auto add = [&](const Layout& layout, const Vector<S>& values) {
    for (const Part& part : layout.parts()) {
      if (part.integer) {
        counters.push_back(static_cast<std::int64_t>(values[part.offset]));
        tensors.push_back({part.name, part.shape, std::span<const std::int64_t>(&counters.back(), 1)});
        continue;
      }
      tensors.push_back({part.name, part.shape,
                         std::span<const S>(values.data() + part.offset, static_cast<std::size_t>(part.size))});
    }
  };
  add(parameters, theta);
  add(buffers, buffer_values);
  publish_file(path, [&](const std::string& temporary) { write_safetensors(temporary, tensors, metadata); });
}

template void export_weights<float>(const std::string&, const Layout&, const Layout&, const Vector<float>&,
                                    const Vector<float>&, const std::map<std::string, std::string>&);
template void export_weights<double>(const std::string&, const Layout&, const Layout&, const Vector<double>&,
                                     const Vector<double>&, const std::map<std::string, std::string>&);

}  // namespace gradscape
