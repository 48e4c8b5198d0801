// Where the runs of a configuration lie.
#include <gtest/gtest.h>

#include "gradscape/study/placed_runs.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

class PlacedRuns : public ::testing::Test {
 protected:
  /// "place; folder of the union" of each run of a configuration.
  std::vector<std::string> places(const std::string& text) {
    options_.config = place_ / "study.toml";
    write_bytes(options_.config, "experiment.name = \"tried\"\n" + text);
    std::vector<std::string> found;
    for (const PlacedRun& run : place_runs(options_)) found.push_back(run.directory.root() + "; " + run.united);
    return found;
  }
  using Places = std::vector<std::string>;

  TemporaryDirectory place_;
  StudyOptions options_;
};

const std::string kOne = "train.steps = 3\n";
const std::string kTwo = kOne + "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\n";
const std::string kSeeds = "experiment.seeds = [7, 3]\n";
const std::string kRates = "experiment.learning_rates = [0.5, 0.0625]\nsweep.kind = \"runs\"\n";

TEST_F(PlacedRuns, AreNamedByTheStudy) {
  EXPECT_EQ(places(kOne), (Places{"runs/tried; "}));
  EXPECT_EQ(places(kTwo), (Places{"runs/tried/a; ", "runs/tried/b; "}));
  options_.scale = "small";
  EXPECT_EQ(places(kOne + "[scale.small]\ntrain.steps = 2\n"), (Places{"runs/tried-small; "}));
}

TEST_F(PlacedRuns, LieInOut) {
  options_.out = "there";
  EXPECT_EQ(places(kOne), (Places{"there; "}));
  EXPECT_EQ(places(kTwo), (Places{"there/a; ", "there/b; "}));
  options_.variant = "b";
  EXPECT_EQ(places(kTwo), (Places{"there/b; "}));
  EXPECT_EQ(places(kSeeds + kTwo), (Places{"there/b/seed-7; there/b", "there/b/seed-3; there/b"}));
  options_.variant = "";
  EXPECT_EQ(places(kSeeds + kOne), (Places{"there/seed-7; there", "there/seed-3; there"}));
  EXPECT_EQ(places(kRates + kOne), (Places{"there/lr-0.5; there", "there/lr-0.0625; there"}));
  EXPECT_EQ(places(kSeeds + kTwo).size(), 4U);
}

TEST_F(PlacedRuns, RefusesWhatIsNotThere) {
  options_.variant = "bb";
  expect_error<UsageError>([&] { places(kTwo); }, {"--variant", "no variant \"bb\"", "did you mean \"b\""});
  options_.variant = "unlike";
  expect_error<UsageError>([&] { places(kTwo); }, {"--variant", "it has: a, b"});
  expect_error<UsageError>([&] { places(kOne); }, {"--variant", "no [[variant]] at all"});
  options_.resume = options_.force = true;
  expect_error<UsageError>([&] { places(kOne); }, {"--resume", "--force"});
}

}  // namespace
}  // namespace gradscape::testing
