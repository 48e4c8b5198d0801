// The list of fields: exact dump and reading back, refusals, and what makes two runs the same run.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "gradscape/config/experiment.hpp"
#include "gradscape/config/study.hpp"
#include "support/bits.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

// Everything a TOML string has to escape, and what it need not: quotes, backslashes, control characters (DEL is one),
// other languages, what looks like a comment, a table or a list.
const std::vector<std::string> kAwkwardTexts = {
    "plain",
    "",
    "say \"hi\"",
    "C:\\new\\table",
    "\\\"",
    "tab\tline\nreturn\rbell\x07 form\f back\b escape\x1b unit\x1f delete\x7f",
    "Größe 漢字 🙂 \u00a0",
    " # no comment = [no, list] ",
    "'''\"\"\"",
    "trailing backslash \\",
};

const std::vector<double> kAwkwardNumbers = {0.1,
                                             1.0 / 3.0,
                                             1e-300,
                                             5e-324,  // the smallest double
                                             2.2250738585072014e-308,
                                             0.30000000000000004,
                                             123456789.123456789,
                                             1e16,
                                             1e22,
                                             9007199254740993.0,
                                             std::numeric_limits<double>::max(),
                                             0x1.fffffffffffffp-1,
                                             2.0,
                                             0.0,
                                             1.0};

/// Values of a field worth trying: all that its choices and range admit of the lists above.
std::vector<std::string> texts_of(const Field& field) {
  return field.choices.empty() ? kAwkwardTexts : field.choices;
}

std::vector<double> numbers_of(const Field& field) {
  std::vector<double> values;
  for (const double value : kAwkwardNumbers)
    if (field.range.contains(value)) values.push_back(value);
  return values;
}

std::vector<std::int64_t> integers_of(const Field& field) {
  std::vector<std::int64_t> values;
  for (const std::int64_t value : {std::int64_t{1}, std::int64_t{2}, std::int64_t{7}, std::int64_t{16},
                                   std::int64_t{123456}, std::int64_t{9007199254740991}})
    if (field.range.contains(static_cast<double>(value))) values.push_back(value);
  return values;
}

/// Calls visit(experiment) with the defaults but for the field, once per value of it worth trying.
template <class Visit>
void for_values(const Field& field, Visit&& visit) {
  const auto each = [&](const auto& values) {
    for (const auto& value : values) {
      Experiment experiment;
      *std::get<std::decay_t<decltype(value)>*>(field.target(experiment)) = value;
      visit(experiment);
    }
  };
  Experiment scratch;
  std::visit(
      [&](auto* target) {
        using T = std::remove_pointer_t<decltype(target)>;
        if constexpr (std::is_same_v<T, std::string>) {
          each(texts_of(field));
        } else if constexpr (std::is_same_v<T, bool>) {
          *target = !*target;
          visit(scratch);
        } else if constexpr (std::is_same_v<T, double>) {
          each(numbers_of(field));
        } else if constexpr (std::is_same_v<T, std::int64_t>) {
          each(integers_of(field));
        } else if constexpr (std::is_same_v<T, std::vector<double>>) {
          each(std::vector<T>{numbers_of(field), {numbers_of(field).front()}, {}});
        } else {
          each(std::vector<T>{integers_of(field), {integers_of(field).front()}, {}});
        }
      },
      field.target(scratch));
}

/// Equality of a field's value bit by bit, through its target: the dump has no say in it.
bool same_value(const Field& field, Experiment& a, Experiment& b) {
  return std::visit(
      [&](auto* x) {
        using T = std::remove_pointer_t<decltype(x)>;
        const T& y = *std::get<T*>(field.target(b));
        if constexpr (std::is_same_v<T, double>) return same_bits(*x, y);
        if constexpr (std::is_same_v<T, std::vector<double>>)
          return std::equal(x->begin(), x->end(), y.begin(), y.end(),
                            [](double p, double q) { return same_bits(p, q); });
        return *x == y;
      },
      field.target(a));
}

TEST(Experiment, ReadsBackWhatItDumps) {
  for (const Field& field : fields()) {
    int tried = 0;
    for_values(field, [&](Experiment& experiment) {
      experiment.train.engine = engine_name(experiment.train);  // as in whatever is dumped
      const std::string text = to_toml(experiment);
      SCOPED_TRACE(field.name() + " = " + field_text(field, experiment));
      try {
        Experiment back = parse_experiment(text, "dump");
        for (const Field& other : fields()) EXPECT_TRUE(same_value(other, experiment, back)) << other.name();
        EXPECT_EQ(to_toml(back), text);
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
      ++tried;
    });
    EXPECT_GE(tried, 1) << field.name();
  }
}

TEST(Experiment, ReadsBackAllFieldsAtOnce) {
  Experiment experiment;
  for (const Field& field : fields())
    for_values(field, [&](Experiment& changed) {  // the last value tried stays
      std::visit(
          [&](auto* target) { *target = *std::get<std::remove_pointer_t<decltype(target)>*>(field.target(changed)); },
          field.target(experiment));
    });
  experiment.train.engine = engine_name(experiment.train);
  Experiment back = parse_experiment(to_toml(experiment), "dump");
  for (const Field& field : fields()) EXPECT_TRUE(same_value(field, experiment, back)) << field.name();
}

// The file's sections and keys are an interface: these names are promised.
TEST(Fields, HaveThePromisedNames) {
  for (const char* name : {"experiment.name",  "data.source",      "data.path",
                           "data.standardise", "data.train_limit", "model.arch",
                           "model.layers",     "model.width",      "model.hidden",
                           "model.activation", "model.norm",       "model.norm_dense",
                           "train.optimizer",  "train.lr",         "train.batch_size",
                           "train.steps",      "train.epochs",     "train.checkpoint_every",
                           "train.test_every", "train.seed",       "train.precision",
                           "train.engine",     "sweep.every",      "sweep.multipliers",
                           "sweep.direction"}) {
    ASSERT_NE(find_field(name), nullptr) << name;
    EXPECT_EQ(find_field(name)->name(), name);
  }
  EXPECT_EQ(find_field("train.learning_rate"), nullptr);
  EXPECT_EQ(find_field("lr"), nullptr);
  EXPECT_EQ(find_field(""), nullptr);
}

TEST(Fields, EachHasHelpAndAnAdmittedDefault) {
  std::set<std::string> names;
  std::set<void*> targets;
  Experiment defaults;
  for (const Field& field : fields()) {
    SCOPED_TRACE(field.name());
    EXPECT_TRUE(names.insert(field.name()).second) << "a name of its own";
    void* target = std::visit([](auto* value) { return static_cast<void*>(value); }, field.target(defaults));
    EXPECT_TRUE(targets.insert(target).second) << "a member of its own";
    EXPECT_GE(field.help.size(), 4u);
    EXPECT_FALSE(field.allowed().empty());
    EXPECT_NO_THROW(check_field(field, defaults, "default"));
  }
  // A section's fields stand together: to_toml writes each section once.
  const std::string text = to_toml(defaults);
  for (const char* section : {"[experiment]", "[data]", "[model]", "[train]", "[sweep]"}) {
    const auto at = text.find(section);
    ASSERT_NE(at, std::string::npos) << section;
    EXPECT_EQ(text.find(section, at + 1), std::string::npos) << section;
  }
}

TEST(Fields, AllowedSaysTypeChoicesAndRange) {
  EXPECT_EQ(find_field("train.precision")->allowed(), "float | double");
  EXPECT_EQ(find_field("model.norm")->allowed(), "none | batch | l1 | l2 | linf | layer | group");
  EXPECT_EQ(find_field("train.engine")->allowed(), "auto | direct | winograd");
  EXPECT_EQ(find_field("data.path")->allowed(), "text");
  EXPECT_EQ(find_field("model.norm_dense")->allowed(), "true | false");
  EXPECT_EQ(find_field("train.lr")->allowed(), "number > 0");
  EXPECT_EQ(find_field("model.dropout")->allowed(), "number >= 0 and < 1");
  EXPECT_EQ(find_field("data.augment_crop")->allowed(), "whole number >= 0 and <= 16");
  EXPECT_EQ(find_field("train.seed")->allowed(), "whole number >= 0 and <= 2^53");
  EXPECT_EQ(find_field("sweep.multipliers")->allowed(), "list of numbers finite, not 0");
  EXPECT_NE(find_field("model.hidden")->allowed().find("list of whole numbers >= 1"), std::string::npos);
}

Experiment with(const std::string& name, const std::string& text) {
  Experiment experiment;
  set_field(*find_field(name), experiment, text, "--" + name);
  return experiment;
}

TEST(SetField, TakesAFlagsText) {
  EXPECT_EQ(with("train.lr", "0.1").train.lr, 0.1);
  EXPECT_EQ(with("train.lr", "1e-3").train.lr, 0.001);
  EXPECT_EQ(with("train.lr", "+2").train.lr, 2.0);
  EXPECT_EQ(with("train.steps", "24").train.steps, 24);
  EXPECT_EQ(with("sweep.last", "-1").sweep.last, -1);
  EXPECT_EQ(with("model.norm", "batch").model.norm, "batch");
  EXPECT_EQ(with("data.path", "a b,c=\"d\"").data.path, "a b,c=\"d\"");
  EXPECT_TRUE(with("model.norm_dense", "true").model.norm_dense);
  EXPECT_FALSE(with("model.bias", "false").model.bias);
  EXPECT_EQ(with("sweep.multipliers", "0.5,1,2e0").sweep.multipliers, (std::vector<double>{0.5, 1, 2}));
  EXPECT_EQ(with("model.hidden", "64").model.hidden, (std::vector<std::int64_t>{64}));
}

TEST(SetField, RefusesWhatIsNotTheFieldsType) {
  const std::vector<std::pair<std::string, std::string>> wrong = {{"train.lr", "fast"},
                                                                  {"train.lr", ""},
                                                                  {"train.lr", "0.1x"},
                                                                  {"train.lr", "0,1"},
                                                                  {"train.lr", " 0.1"},
                                                                  {"train.lr", "+-0.1"},
                                                                  {"train.steps", "1.5"},
                                                                  {"train.steps", "1e3"},
                                                                  {"train.steps", "0x10"},
                                                                  {"train.steps", "+-1"},
                                                                  {"sweep.last", "+-1"},
                                                                  {"model.bias", "True"},
                                                                  {"train.nesterov", "1"},
                                                                  {"model.bias", ""},
                                                                  {"sweep.multipliers", ""},
                                                                  {"sweep.multipliers", "1,,2"},
                                                                  {"sweep.multipliers", "1,2,"},
                                                                  {"model.hidden", "64,3.5"},
                                                                  {"train.steps", "99999999999999999999"}};
  for (const auto& [name, text] : wrong) {
    SCOPED_TRACE(name + " " + text);
    expect_error<UsageError>([&] { with(name, text); }, {"--" + name, "\"" + text + "\"", find_field(name)->allowed()});
  }
}

TEST(SetField, RefusesWhatIsOutOfRange) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"train.lr", "0"},           {"train.lr", "-0.1"},
      {"train.lr", "nan"},         {"train.lr", "inf"},
      {"model.dropout", "1"},      {"train.batch_size", "0"},
      {"sweep.last", "-2"},        {"sweep.multipliers", "1,0"},
      {"model.hidden", "16,0"},    {"sweep.multipliers", "nan"},
      {"data.augment_crop", "17"}, {"train.steps", "-1"},
      {"train.momentum", "1.01"},  {"sweep.every", "0"}};
  for (const auto& [name, text] : wrong) {
    SCOPED_TRACE(name + " " + text);
    expect_error<UsageError>([&] { with(name, text); }, {"--" + name, name + " = ", find_field(name)->allowed()});
  }
  expect_error<UsageError>([] { with("model.norm", "bacth"); },
                           {"--model.norm", "\"bacth\"", "none | batch", "did you mean \"batch\""});
  expect_error<UsageError>([] { with("train.optimizer", "lbfgs"); }, {"\"lbfgs\"", "sgd | adam"});
}

TEST(SetField, UsageErrorsExitWithTwo) {
  try {
    with("train.lr", "0");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::usage);
  }
}

TEST(CheckExperiment, KnowsWhatNoSingleFieldCanTell) {
  Experiment good;
  good.train.steps = 10;
  EXPECT_NO_THROW(check_experiment(good, "file"));
  const auto refused = [&](auto&& change, const std::vector<std::string>& words) {
    Experiment bad = good;
    change(bad);
    expect_error<UsageError>([&] { check_experiment(bad, "file.toml"); }, words);
  };
  refused([](auto& e) { e.train.steps = 0; }, {"file.toml", "train.steps or train.epochs"});
  refused([](auto& e) { e.train.epochs = 3; }, {"train.steps = 10", "train.epochs = 3"});
  refused([](auto& e) { e.train.nesterov = true; }, {"train.nesterov", "train.momentum"});
  refused([](auto& e) { e.train.schedule = "step"; }, {"train.schedule_step"});
  refused([](auto& e) { e.sweep.multipliers.clear(); }, {"sweep.multipliers"});
  refused([](auto& e) { e.sweep.step_sizes = {0.1, 0.2, 0.1}; }, {"sweep.step_sizes", "0.1 more than once"});
  refused(
      [](auto& e) {
        e.sweep.step_sizes = {0.1};
        e.sweep.multipliers = {1};
      },
      {"sweep.step_sizes", "sweep.multipliers", "leave one"});
  refused(
      [](auto& e) {
        e.sweep.step_sizes = {0.1};
        e.sweep.direction = "update";
      },
      {"sweep.step_sizes", "update"});
  refused([](auto& e) { e.sweep.on_images = 5; }, {"sweep.on", "train"});
  refused([](auto& e) { e.sweep.first = 5, e.sweep.last = 4; }, {"sweep.last = 4", "sweep.first = 5"});
  good.sweep.first = good.sweep.last = 4;
  EXPECT_NO_THROW(check_experiment(good, "file"));
}

// A run can be moved, renamed, tested or saved more often, probed otherwise and extended, and stays that run; data are
// known by their fingerprint. Everything else changes the bits of training.
const std::set<std::string> kNotIdentity = {"experiment.name",
                                            "experiment.variant",
                                            "experiment.seeds",
                                            "experiment.learning_rates",
                                            "data.source",
                                            "data.path",
                                            "data.classes",
                                            "data.labels",
                                            "data.train_limit",
                                            "data.test_limit",
                                            "data.synthetic_seed",
                                            "data.synthetic_train",
                                            "data.synthetic_test",
                                            "data.linear_size",
                                            "data.linear_deviation",
                                            "train.checkpoint_every",
                                            "train.checkpoint_segments",
                                            "train.checkpoint_gb",
                                            "train.test_every",
                                            "train.steps",
                                            "train.epochs"};

// A sweep's steps may grow, and what else `run` looks at is no matter of the sweep.
const std::set<std::string> kWhichSteps = {"first", "last", "every", "steps", "also"};

TEST(IdentityDifferences, NameEveryFieldThatChangesTrainingsBits) {
  const Experiment defaults;
  for (const Field& field : fields()) {
    const bool identity =
        field.section != "sweep" && field.section != "surface" && !kNotIdentity.contains(field.name());
    int changed = 0;
    for_values(field, [&](const Experiment& experiment) {
      if (field_text(field, experiment) == field_text(field, defaults)) return;
      ++changed;
      const auto list = identity_differences(experiment, defaults);
      ASSERT_EQ(list.size(), identity ? 1u : 0u) << field.name();
      if (identity) {
        EXPECT_EQ(list[0], fmt::format("{} is {} here and {} there", field.name(), field_text(field, experiment),
                                       field_text(field, defaults)));
      }
      const auto sweep = sweep_differences(experiment, defaults);
      const bool how = field.section == "sweep" && !kWhichSteps.contains(field.key);
      EXPECT_EQ(sweep.size(), how ? 1u : 0u) << field.name();
      EXPECT_EQ(surface_differences(experiment, defaults).size(), field.section == "surface" ? 1u : 0u) << field.name();
    });
    EXPECT_GE(changed, 1) << field.name();
  }
}

TEST(IdentityDifferences, InWords) {
  Experiment here, there;
  here.train.lr = 0.1;
  there.train.lr = 0.05;
  there.train.seed = 9;
  there.model.norm = "batch";
  const auto list = identity_differences(here, there);
  EXPECT_EQ(list,
            (std::vector<std::string>{"model.norm is \"none\" here and \"batch\" there",
                                      "train.lr is 0.1 here and 0.05 there", "train.seed is 1 here and 9 there"}));
  EXPECT_TRUE(identity_differences(here, here).empty());
}

// A difference of long texts is shown where it is.
TEST(IdentityDifferences, NameTheLineOfATextOfSeveral) {
  Experiment here, there;
  here.model.layers = "flatten\ndense 3 \"a\"\n";
  there.model.layers = "flatten\ndense 4\n";
  EXPECT_EQ(identity_differences(here, there),
            std::vector<std::string>{R"(model.layers has in line 2 "dense 3 \"a\"" here and "dense 4" there)"});
  there.model.layers = here.model.layers + "relu";
  EXPECT_EQ(identity_differences(here, there),
            std::vector<std::string>{R"(model.layers has in line 3 "" here and "relu" there)"});
  there.model.layers = "flatten\ndense 3 \"a\"";
  EXPECT_EQ(identity_differences(here, there),
            std::vector<std::string>{R"(model.layers has in line 3 "" here and nothing there)"});
  there.model.layers = "";
  EXPECT_EQ(identity_differences(here, there),
            std::vector<std::string>{R"(model.layers is "flatten\ndense 3 \"a\"\n" here and "" there)"});
}

TEST(ToToml, WritesATextOfSeveralLinesAsSuch) {
  Experiment experiment;
  experiment.model.arch = "layers";
  experiment.model.layers = "flatten\n# \"\"\" \\ \r\ndense 3\n";
  EXPECT_NE(to_toml(experiment).find("\nlayers = \"\"\"\nflatten\n# \\\"\\\"\\\" \\\\ \\u000d\ndense 3\n\"\"\"\n"),
            std::string::npos)
      << to_toml(experiment);
}

// Files hold a real name always; what an older program wrote names none, and was direct.
TEST(Engine, IsResolvedWhereAConfigurationIsRead) {
  for (const auto& [precision, own] : {std::pair{"float", "winograd"}, {"double", "direct"}}) {
    const std::string text = std::string("[train]\nsteps = 1\nprecision = \"") + precision + "\"\n";
    EXPECT_EQ(parse_experiment(text + "engine = \"auto\"\n", "stored").train.engine, own);
    EXPECT_EQ(parse_experiment(text, "stored").train.engine, "direct");
    for (const std::string named : {"direct", "winograd"})
      EXPECT_EQ(parse_experiment(text + "engine = \"" + named + "\"\n", "stored").train.engine, named);
  }
  expect_error<UsageError>([] { parse_experiment("[train]\nengine = \"winogard\"\n", "stored"); },
                           {"stored:2", "train.engine = \"winogard\"", "did you mean \"winograd\""});
}

TEST(IdentityDifferences, StepsCountWhereTheScheduleNeedsThem) {
  Experiment here, there;
  here.train.steps = 100;
  there.train.steps = 200;
  EXPECT_TRUE(identity_differences(here, there).empty()) << "a constant rate: the run can be extended";
  here.train.schedule = there.train.schedule = "cosine";
  EXPECT_EQ(identity_differences(here, there), (std::vector<std::string>{"train.steps is 100 here and 200 there"}));
  there.train.schedule = "constant";
  EXPECT_EQ(identity_differences(here, there).size(), 2u) << "schedule and steps";
}

}  // namespace
}  // namespace gradscape::testing
