// What `info` tells: a page of lines, or an object for --json; and what files and runs both say of themselves.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "gradscape/config/experiment.hpp"
#include "gradscape/store/publish.hpp"
#include "gradscape/train/trace.hpp"

namespace gradscape {

/// Where what is found is told: in lines as it comes, or, for --json, in an object that is printed at the end.
class InfoPage {
 public:
  using Json = nlohmann::ordered_json;

  explicit InfoPage(bool json) : json_(json) {}

  bool json() const { return json_; }
  Json& members() { return members_; }

  /// A line of its own, and what it says as members of the object (none: Json()).
  void head(const std::string& text, const Json& members);
  void line(const std::string& label, const std::string& text, const Json& members);

 private:
  bool json_;
  Json members_ = Json::object();
};

/// "vgg-a, width 0.25, batch norm; sgd, lr 0.05 (constant), batch 64, seed 1, float, direct engine"
std::string describe_experiment(const Experiment& experiment);

/// Every key of it, by section.
InfoPage::Json experiment_members(const Experiment& experiment);

/// Which data it was, by name and fingerprint.
void tell_data(InfoPage& page, const Provenance& origin);

/// The last step of a training, what weight decay contributes there, and the last test; null: there is none yet.
void tell_last(InfoPage& page, const Experiment& experiment, const TraceRecord* step, const TestRecord* test);

}  // namespace gradscape
