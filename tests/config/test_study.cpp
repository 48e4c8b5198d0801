// Configuration files: what they set, what overrides what, and what an error says.
#include <gtest/gtest.h>

#include <filesystem>

#include "gradscape/config/study.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

/// Configuration files of one test.
class StudyFile : public ::testing::Test {
 protected:
  Study load(const std::string& text, const Overrides& overrides = {}) {
    write_bytes(path(), text);
    return load_study(path(), overrides);
  }

  /// The file must be refused with a message that starts with its name and line and holds `words`.
  void expect_refused(const std::string& text, const std::string& line, const std::vector<std::string>& words) {
    SCOPED_TRACE(text);
    const std::string message = expect_error<UsageError>([&] { load(text); }, words);
    const std::string where = path() + (line.empty() ? "" : ":" + line);
    EXPECT_TRUE(message.starts_with(where)) << where << " does not begin: " << message;
  }

  std::string path() const { return directory_ / "file.toml"; }

 private:
  TemporaryDirectory directory_;
};

// The example that the interface was settled on, to the letter.
constexpr const char* kExample = R"toml([experiment]
name = "bn-vs-none"
[data]
source = "cifar10"            # cifar10 | idx | synthetic
path = "…"                    # default: $GRADSCAPE_CIFAR10
standardise = "half"          # half | channel | none
train_limit = 2048            # first so many training images; 0 = all
[model]
arch = "vgg-a"                # vgg-a | mlp
width = 0.25
hidden = [128, 128]           # mlp
activation = "relu"           # relu | linear
norm = "none"                 # none | batch
norm_dense = false            # BN on the hidden dense layers too
[train]
optimizer = "sgd"             # sgd | adam
lr = 0.05
batch_size = 64
steps = 24                    # or epochs
checkpoint_every = 7
test_every = 100
seed = 11
[sweep]
every = 1
multipliers = [0.25, 0.5, 1.0, 2.0, 4.0]
[[variant]]
name = "bn"
model.norm = "batch"
)toml";

TEST_F(StudyFile, TheExampleLoads) {
  const Study study = load(kExample);
  EXPECT_EQ(study.name, "bn-vs-none");
  EXPECT_TRUE(study.has_variants);
  ASSERT_EQ(study.runs.size(), 1u);
  const Experiment& run = study.runs[0];
  EXPECT_EQ(run.experiment.name, "bn-vs-none");
  EXPECT_EQ(run.experiment.variant, "bn");
  EXPECT_EQ(run.data.source, "cifar10");
  EXPECT_EQ(run.data.path, (std::filesystem::current_path() / "…").string());
  EXPECT_EQ(run.data.standardise, "half");
  EXPECT_EQ(run.data.train_limit, 2048);
  EXPECT_EQ(run.model.arch, "vgg-a");
  EXPECT_EQ(run.model.width, 0.25);
  EXPECT_EQ(run.model.hidden, (std::vector<std::int64_t>{128, 128}));
  EXPECT_EQ(run.model.activation, "relu");
  EXPECT_EQ(run.model.norm, "batch");
  EXPECT_FALSE(run.model.norm_dense);
  EXPECT_EQ(run.train.optimizer, "sgd");
  EXPECT_EQ(run.train.lr, 0.05);
  EXPECT_EQ(run.train.batch_size, 64);
  EXPECT_EQ(run.train.steps, 24);
  EXPECT_EQ(run.train.epochs, 0);
  EXPECT_EQ(run.train.checkpoint_every, 7);
  EXPECT_EQ(run.train.test_every, 100);
  EXPECT_EQ(run.train.seed, 11);
  EXPECT_EQ(run.sweep.every, 1);
  EXPECT_EQ(run.sweep.multipliers, (std::vector<double>{0.25, 0.5, 1.0, 2.0, 4.0}));
}

TEST_F(StudyFile, WithoutVariantsIsOneRun) {
  const Study study = load("[train]\nsteps = 3\nlr = 2\n");
  EXPECT_FALSE(study.has_variants);
  ASSERT_EQ(study.runs.size(), 1u);
  EXPECT_EQ(study.runs[0].experiment.variant, "");
  EXPECT_EQ(study.runs[0].train.lr, 2.0) << "a whole number is a number";
  EXPECT_EQ(study.runs[0].model.norm, "none") << "what is not named has its default";
  // Whole numbers that no double holds are rounded, as 0.1 is.
  EXPECT_EQ(load("[train]\nsteps = 3\nlr = 9007199254740993\n").runs[0].train.lr, 9007199254740992.0);
  EXPECT_EQ(load("[train]\nsteps = 3\nlr = 9223372036854775807\n").runs[0].train.lr, 0x1p63);
}

TEST_F(StudyFile, TheEngineIsThePrecisionsOwnUnlessNamed) {
  const std::string text = R"([train]
steps = 5
[[variant]]
name = "float"
[[variant]]
name = "double"
train.precision = "double"
[[variant]]
name = "asked"
train.engine = "direct"
)";
  const auto engines = [&](const Overrides& overrides) {
    std::vector<std::string> names;
    for (const Experiment& run : load(text, overrides).runs) names.push_back(run.train.engine);
    return names;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(engines({}), (Names{"winograd", "direct", "direct"}));
  EXPECT_EQ(engines({{"train.precision", "double"}}), (Names{"direct", "direct", "direct"}));
  EXPECT_EQ(engines({{"train.engine", "auto"}}), (Names{"winograd", "direct", "winograd"}));
  EXPECT_EQ(engines({{"train.engine", "winograd"}}), (Names{"winograd", "winograd", "winograd"}));
}

TEST_F(StudyFile, LayersAreATextOrAListOfItsLines) {
  const std::string end = "\n[train]\nsteps = 1\n";
  const auto layers = [&](const std::string& value, const Overrides& overrides = {}) {
    return load("[model]\nlayers = " + value + end, overrides).runs[0].model;
  };
  for (const char* value : {"\"\"\"\nflatten\na: dense 3 # b, c\"\"\"", "[\"flatten\", \"a: dense 3 # b, c\"]"}) {
    EXPECT_EQ(layers(value).layers, "flatten\na: dense 3 # b, c");
    EXPECT_EQ(layers(value).arch, "layers") << "it need not be given";
  }
  EXPECT_EQ(layers("\"\"").arch, "vgg-a");
  EXPECT_EQ(layers("\"\"", {{"model.layers", "dense 3"}}).layers, "dense 3");
  EXPECT_EQ(load("[model]\narch = \"layers\"\nlayers = \"dense 3\"" + end).runs[0].model.arch, "layers");
  expect_refused("[model]\narch = \"vgg-a\"\nlayers = \"dense 3\"" + end, "",
                 {"model.arch = \"vgg-a\" and model.layers are both given", "leave one of them out"});
  expect_refused("[model]\narch = \"layers\"" + end, "", {"model.arch = \"layers\" needs model.layers"});
  expect_refused("[model]\nlayers = []" + end, "2", {"model.layers = [] holds nothing"});
  expect_refused("[model]\nlayers = 3" + end, "2", {"model.layers = 3", "wrong type", "text, or a list of its lines"});
  expect_refused("[model]\nlayers = \"dense 3\\ndanse 4\"" + end, "", {"model.layers, line 2, column 1", "dense?"});
  // What the text says already; weights and loss it does not say.
  EXPECT_NO_THROW(load("[model]\nlayers = \"dense 3\"\ninit = \"he-normal\"\nlabel_smoothing = 0.1" + end));
  expect_refused("[model]\nlayers = \"dense 3\"\nbias = false\nnorm = \"batch\"\nloss = \"mse\"" + end, "",
                 {"model.layers does not take model.norm, model.bias\n"});
}

TEST_F(StudyFile, VariantsOverrideTheFileAndFlagsOverrideBoth) {
  const std::string text = R"([train]
steps = 5
lr = 0.1
batch_size = 32
[model]
arch = "mlp"
[[variant]]
name = "plain"
[[variant]]
name = "bn"
model.norm = "batch"
train.lr = 0.2
sweep.multipliers = [3]
[[variant]]
name = "dotted and table"
[variant.model]
norm = "batch"
dropout = 0.5
)";
  Study study = load(text);
  ASSERT_EQ(study.runs.size(), 3u);
  EXPECT_EQ(study.runs[0].experiment.variant, "plain");
  EXPECT_EQ(study.runs[0].model.norm, "none");
  EXPECT_EQ(study.runs[0].train.lr, 0.1);
  EXPECT_EQ(study.runs[1].experiment.variant, "bn");
  EXPECT_EQ(study.runs[1].model.norm, "batch");
  EXPECT_EQ(study.runs[1].train.lr, 0.2);
  EXPECT_EQ(study.runs[1].sweep.multipliers, (std::vector<double>{3}));
  EXPECT_EQ(study.runs[2].experiment.variant, "dotted and table");
  EXPECT_EQ(study.runs[2].model.norm, "batch");
  EXPECT_EQ(study.runs[2].model.dropout, 0.5);
  for (const auto& run : study.runs) EXPECT_EQ(run.train.batch_size, 32);

  study = load(text, {{"train.lr", "0.7"}, {"model.hidden", "9,8"}, {"model.norm", "none"}});
  for (const auto& run : study.runs) {
    EXPECT_EQ(run.train.lr, 0.7);
    EXPECT_EQ(run.model.hidden, (std::vector<std::int64_t>{9, 8}));
    EXPECT_EQ(run.model.norm, "none");
  }
  EXPECT_EQ(study.runs[2].model.dropout, 0.5);
}

TEST_F(StudyFile, AFlagCanMendWhatTheFileLacks) {
  EXPECT_EQ(load("[train]\nlr = 0.1\n", {{"train.steps", "4"}}).runs[0].train.steps, 4);
  expect_error<UsageError>(
      [&] {
        load("[train]\nsteps = 4\n", {{"train.lr", "-1"}});
      },
      {"--train.lr", "train.lr = -1", "number > 0"});
  expect_error<UsageError>(
      [&] {
        load("[train]\nsteps = 4\n", {{"train.epochs", "1"}});
      },
      {path(), "train.steps = 4", "train.epochs = 1"});
}

TEST_F(StudyFile, PathsBecomeAbsolute) {
  const auto path_of = [&](const std::string& value, const Overrides& flags = {}) {
    return load("[data]\npath = \"" + value + "\"\n[train]\nsteps = 1\n", flags).runs[0].data.path;
  };
  const auto here = std::filesystem::current_path();
  EXPECT_EQ(path_of("some/folder"), (here / "some/folder").string());
  EXPECT_EQ(path_of("./a/../b"), (here / "b").string());
  EXPECT_EQ(path_of("/data/cifar"), "/data/cifar");
  EXPECT_EQ(path_of(""), "") << "no path stays none: the data set has a default";
  EXPECT_EQ(path_of("/data/cifar", {{"data.path", "flagged"}}), (here / "flagged").string());
}

TEST_F(StudyFile, UnknownNamesAreRefusedWithTheNearestOne) {
  expect_refused("[train]\nsteps = 1\nlearning_rat = 0.5\n", "3", {"unknown key", "train.learning_rat", "0.5"});
  expect_refused("[train]\nlearning_rate = 0.1\n", "2", {"train.learning_rate = 0.1\n", "train.lr"});
  expect_refused("[train]\nbatchsize = 8\n", "2", {"unknown key", "train.batchsize = 8", "train.batch_size"});
  expect_refused("[train]\nmomentm = 0.5\n", "2", {"train.momentm = 0.5", "did you mean train.momentum?"});
  expect_refused("[model]\nwidth = 1.0\n\nbatch_size = 8\n", "4", {"model.batch_size", "there is train.batch_size"});
  expect_refused("[modle]\nnorm = \"batch\"\n", "1", {"unknown section", "modle", "did you mean model?"});
  expect_refused("lr = 0.5\n", "1", {"unknown key", "lr = 0.5", "there is train.lr"});
  expect_refused("[train]\nzzzzzzzzzzzz = true\n", "2", {"train.zzzzzzzzzzzz = true", "known here:", "batch_size"});
  expect_refused("train = 3\n", "1", {"train = 3", "[train]"});
  expect_refused("[[variant]]\nname = \"a\"\nmodel.nrom = \"batch\"\n", "3", {"model.nrom", "model.norm?"});
  expect_refused("[[variant]]\nname = \"a\"\nmodle.norm = \"batch\"\n", "3", {"modle", "did you mean model?"});
  expect_refused("[train.deep]\nlr = 0.5\n", "1", {"unknown key", "train.deep"});
}

TEST_F(StudyFile, WrongTypesAreRefused) {
  expect_refused("[train]\n\nlr = \"fast\"\n", "3", {"train.lr", "fast", "wrong type", "number > 0"});
  expect_refused("[train]\nsteps = 1.5\n", "2", {"train.steps = 1.5", "wrong type", "whole number >= 0"});
  expect_refused("[train]\nbatch_size = 16.0\n", "2", {"train.batch_size = 16.0", "wrong type", "whole number >= 1"});
  expect_refused("[train]\nsteps = true\n", "2", {"train.steps = true", "wrong type"});
  expect_refused("[model]\nnorm_dense = 1\n", "2", {"model.norm_dense = 1", "true | false"});
  expect_refused("[model]\nnorm = true\n", "2", {"model.norm = true", "none | batch"});
  expect_refused("[model]\nhidden = 128\n", "2", {"model.hidden = 128", "list of whole numbers"});
  expect_refused("[model]\nhidden = [1, 2.5]\n", "2", {"model.hidden", "2.5", "list of whole numbers"});
  expect_refused("[sweep]\nmultipliers = [1, \"2\"]\n", "2", {"sweep.multipliers", "list of numbers finite, not 0"});
  expect_refused("[train]\nlr = 2024-01-01\n", "2", {"train.lr", "wrong type"});
}

TEST_F(StudyFile, ValuesOutOfRangeAreRefused) {
  expect_refused("[train]\nsteps = 1\nlr = 0\n", "3", {"train.lr = 0.0", "not allowed", "number > 0"});
  expect_refused("[train]\nlr = nan\n", "2", {"train.lr = nan", "number > 0"});
  expect_refused("[train]\nlr = inf\n", "2", {"train.lr = inf"});
  expect_refused("[train]\nbatch_size = 0\n", "2", {"train.batch_size = 0", "whole number >= 1"});
  expect_refused("[model]\ndropout = 1.0\n", "2", {"model.dropout = 1.0", ">= 0 and < 1"});
  expect_refused("[sweep]\nmultipliers = [1.0, 0.0]\n", "2", {"sweep.multipliers = [1.0, 0.0]", "not 0"});
  expect_refused("[model]\nnorm = \"bacth\"\n", "2",
                 {"model.norm = \"bacth\"", "none | batch", "did you mean \"batch\""});
  expect_refused("[data]\nsource = \"imagenet\"\n", "2", {"\"imagenet\"", "cifar10", "idx", "synthetic"});
  expect_refused("[[variant]]\nname = \"a\"\n\n[variant.train]\nlr = -1.0\n", "5", {"train.lr = -1.0"});
  expect_refused("[train]\nlr = 0.1\n", "", {"train.steps or train.epochs"});
  expect_refused("[train]\nsteps = 1\n[sweep]\nmultipliers = []\n", "", {"sweep.multipliers is empty"});
}

TEST_F(StudyFile, SyntaxErrorsNameLineAndColumn) {
  expect_refused("[train]\nlr = \n", "2:", {"not valid TOML"});
  expect_refused("[train\nlr = 1\n", "1:", {"not valid TOML"});
  expect_refused("[train]\nlr = 0.1\nlr = 0.2\n", "3:", {"not valid TOML", "lr"});
  expect_refused("[train]\nname = \"unclosed\n", "2:", {"not valid TOML"});
  expect_refused(std::string("[train]\nlr = 0.1\0\n", 18), "2:", {"not valid TOML"});
}

TEST_F(StudyFile, VariantsNeedNamesOfTheirOwn) {
  const std::string common = "[train]\nsteps = 1\n";
  expect_refused(common + "[[variant]]\nmodel.norm = \"batch\"\n", "3", {"[[variant]] has no name"});
  expect_refused(common + "[[variant]]\nname = \"\"\n", "3", {"no name"});
  expect_refused(common + "[[variant]]\nname = 3\n", "3", {"no name"});
  expect_refused(common + "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"a\"\n", "5", {"\"a\"", "twice"});
  for (const std::string name : {"a/b", "..", ".hidden"})
    expect_refused(common + "[[variant]]\nname = \"" + name + "\"\n", "3", {name, "folder's name"});
  expect_refused("variant = 3\n" + common, "1", {"[[variant]]"});
  expect_refused(common + "[variant]\nname = \"a\"\n", "3", {"[[variant]]"});
}

TEST_F(StudyFile, AMissingFileIsAUsageError) {
  expect_error<UsageError>([&] { load_study(path(), {}); }, {path(), "cannot be read"});
}

TEST(ParseExperiment, NamesItsOrigin) {
  expect_error<UsageError>([] { parse_experiment("[train]\nlr = -1\n", "step-00000007.h5"); },
                           {"step-00000007.h5:2", "train.lr = -1"});
  expect_error<UsageError>([] { parse_experiment("[train]\nlr 1\n", "run/config.toml"); }, {"run/config.toml:2"});
}

TEST_F(StudyFile, SeedsAreRuns) {
  const Study study = load(
      "[experiment]\nseeds = [7, 3]\n[train]\nsteps = 1\nseed = 9\n[[variant]]\nname = \"a\"\n"
      "[[variant]]\nname = \"b\"\nmodel.norm = \"batch\"\n");
  EXPECT_TRUE(study.has_seeds);
  ASSERT_EQ(study.runs.size(), 4U);
  const char* names[] = {"a", "a", "b", "b"};
  const std::int64_t seeds[] = {7, 3, 7, 3};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(study.runs[i].experiment.variant, names[i]);
    EXPECT_EQ(study.runs[i].train.seed, seeds[i]);
    EXPECT_TRUE(study.runs[i].experiment.seeds.empty()) << "the run is one seed's";
  }
  EXPECT_FALSE(load("[train]\nsteps = 1\nseed = 9\n").has_seeds);
  expect_refused("[experiment]\nseeds = [7, 3, 7]\n[train]\nsteps = 1\n", "", {"experiment.seeds", "7 more than once"});
}

constexpr const char* kScaled = R"toml([train]
steps = 1000
lr = 0.1
[[variant]]
name = "a"
[[variant]]
name = "b"
train.lr = 0.5
train.steps = 2000
scale.small.train.steps = 7
[scale.small.train]
steps = 5
lr = 0.2
[scale.tiny.train]
steps = 2
)toml";

TEST_F(StudyFile, ScalesOverrideTheCommonPartAndVariantsTheirOwn) {
  const auto runs_at = [&](const std::string& scale, const Overrides& overrides = {}) {
    write_bytes(path(), kScaled);
    return load_study(path(), overrides, scale).runs;
  };
  EXPECT_EQ(runs_at("")[0].train.steps, 1000);
  EXPECT_EQ(runs_at("small")[0].train.steps, 5);
  EXPECT_EQ(runs_at("small")[0].train.lr, 0.2);
  EXPECT_EQ(runs_at("small")[1].train.steps, 7) << "the variant's own";
  EXPECT_EQ(runs_at("small")[1].train.lr, 0.5) << "a variant overrides the common part, whose scale is part of it";
  EXPECT_EQ(runs_at("tiny")[1].train.steps, 2000);
  EXPECT_EQ(runs_at("small", {{"train.steps", "9"}})[1].train.steps, 9);
  expect_error<UsageError>([&] { runs_at("large"); }, {"--scale", "[scale.large]", "small, tiny"});
  write_bytes(path(), "[train]\nsteps = 1\n");
  expect_error<UsageError>([&] { load_study(path(), {}, "small"); }, {"--scale", "none at all"});
}

// A mistake in a scale shows although the scale is not taken.
TEST_F(StudyFile, ScalesAreChecked) {
  expect_refused("[train]\nsteps = 1\n[scale.small.train]\nsteps = -1\n", "4", {"train.steps"});
  expect_refused("[train]\nsteps = 1\n[scale.small.train]\nstep = 1\n", "4", {"train.step", "train.steps"});
  expect_refused("[train]\nsteps = 1\n[scale.small.trian]\nsteps = 1\n", "3", {"trian"});
  expect_refused("[train]\nsteps = 1\n[scale]\nsmall = 1\n", "4", {"scale.small is not a table"});
}

TEST_F(StudyFile, LearningRatesAreAnAxisOfRuns) {
  const std::string text =
      "[experiment]\nlearning_rates = [0.1, 0.02]\n[train]\nsteps = 1\n[sweep]\nkind = \"runs\"\n"
      "[[variant]]\nname = \"a\"\n[[variant]]\nname = \"b\"\n";
  const Study study = load(text);
  ASSERT_EQ(study.runs.size(), 4u);
  EXPECT_TRUE(study.has_rates);
  EXPECT_EQ(study.runs[1].train.lr, 0.02);
  EXPECT_TRUE(study.runs[1].experiment.learning_rates.empty());
  EXPECT_EQ(study.runs[2].experiment.variant, "b");
  EXPECT_EQ(load(text, {{"experiment.learning_rates", "0.3"}}).runs.size(), 2u);
  expect_error<UsageError>([&] { load(text, {{"train.lr", "0.3"}}); }, {"--train.lr", "learning_rates"});
  expect_refused("[train]\nsteps = 1\n[sweep]\nkind = \"runs\"\n", "", {"learning_rates", "go together"});
  expect_refused("[experiment]\nlearning_rates = [0.1]\n[train]\nsteps = 1\n", "", {"sweep.kind", "go together"});
  expect_refused("[experiment]\nlearning_rates = [0.1, 0.1]\n[train]\nsteps = 1\n[sweep]\nkind = \"runs\"\n", "",
                 {"0.1 more than once"});
  expect_refused("[experiment]\nlearning_rates = [0.1]\nseeds = [1]\n[train]\nsteps = 1\n[sweep]\nkind = \"runs\"\n",
                 "", {"both given"});
}

TEST_F(StudyFile, NormOptionsThatTheNormDoesNotTake) {
  const auto model = [](const std::string& options) { return "[train]\nsteps = 1\n[model]\n" + options; };
  for (const std::string norm : {"batch", "l1", "l2", "linf", "layer"})
    expect_refused(model("norm = \"" + norm + "\"\nnorm_groups = 4\n"), "", {norm, "norm_groups", "group"});
  for (const std::string norm : {"layer", "group"})
    for (const std::string option : {"norm_momentum = 0.2", "norm_track = false"})
      expect_refused(model("norm = \"" + norm + "\"\n" + option + "\n"), "", {norm, option.substr(0, 8), "batch"});
  for (const std::string taken : {"norm = \"group\"\nnorm_groups = 4\n", "norm = \"l1\"\nnorm_momentum = 0.2\n",
                                  "norm = \"none\"\nnorm_groups = 4\n", "norm = \"layer\"\nnorm_eps = 0.1\n"})
    EXPECT_NO_THROW(load(model(taken))) << taken;
  expect_refused(model("norm = \"l3\"\n"), "4", {"none | batch | l1 | l2 | linf | layer | group"});
  expect_refused("[data]\nsource = \"linear\"\n[train]\nsteps = 1\n", "", {"cross-entropy", "sse"});
}

TEST_F(StudyFile, DecayIsInsideOfTheLossOrOutside) {
  const auto with = [](const std::string& model, const std::string& train) {
    return "[train]\nsteps = 1\n" + train + "[model]\n" + model;
  };
  EXPECT_EQ(load(with("loss_decay = 5e-4\n", "")).runs.front().model.loss_decay, 5e-4);
  expect_refused(with("loss_decay = 5e-4\n", "weight_decay = 1e-4\n"), "", {"loss_decay", "weight_decay", "twice"});
  expect_refused(with("loss_decay = 5e-4\nloss = \"sse\"\n", ""), "", {"loss_decay", "sse", "mse"});
  expect_refused(with("loss_decay = -1.0\n", ""), "4", {"model.loss_decay"});
}

TEST_F(StudyFile, OptionsOfOtherDataAreRefused) {
  const auto data = [](const std::string& options) { return "[train]\nsteps = 1\n[data]\n" + options; };
  for (const std::string source : {"idx", "hdf5", "npy"})
    EXPECT_EQ(load(data("source = \"" + source + "\"\nclasses = 7\n")).runs.front().data.classes, 7);
  for (const std::string source : {"cifar10", "cifar100", "synthetic", "linear"})
    expect_refused(data("source = \"" + source + "\"\nclasses = 7\n") + "[model]\nloss = \"sse\"\n", "",
                   {"data.classes", source});
  EXPECT_EQ(load(data("source = \"cifar100\"\nlabels = \"coarse\"\n")).runs.front().data.labels, "coarse");
  expect_refused(data("source = \"cifar10\"\nlabels = \"coarse\"\n"), "", {"data.labels", "cifar100"});
  expect_refused(data("source = \"cifar100\"\nlabels = \"rough\"\n"), "5", {"fine | coarse"});
}

}  // namespace
}  // namespace gradscape::testing
