#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "gradscape/store/checkpoint_file.hpp"
#include "gradscape/store/digest.hpp"
#include "gradscape/store/trace_file.hpp"
#include "support/errors.hpp"
#include "support/grids.hpp"
#include "support/small_runs.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

Trace make_trace() {
  return {{{0, 2.3, 0.1, 0.05, 1.5, 9.0, 0.075, 0.5}, {1, 2.2, 0.2, 0.05, 1.4, 9.1, 0.070, 0.6}}, {{2, 2.1, 0.3}}};
}

class Digest : public ::testing::Test {
 protected:
  std::string of(const Trace& trace, const Provenance& origin = {}) const {
    write_trace(directory_ / "trace.h5", origin, trace);
    return content_digest(directory_ / "trace.h5");
  }
  TemporaryDirectory directory_;
};

TEST_F(Digest, LeavesOutProvenanceAndWallTime) {
  const std::string digest = of(make_trace());
  EXPECT_EQ(digest.size(), 16u);
  Trace slower = make_trace();
  slower.steps[0].seconds = 100;
  EXPECT_EQ(of(slower, {"", "other", "variant", "config", "data", "print"}), digest);
}

TEST_F(Digest, ChangesWithEveryValue) {
  std::set<std::string> digests = {of(make_trace())};
  std::size_t count = 1;
  const auto expect_new = [&](auto&& change) {
    Trace trace = make_trace();
    change(trace);
    digests.insert(of(trace));
    EXPECT_EQ(digests.size(), ++count);
  };
  expect_new([](Trace& t) { t.steps[1].loss = std::nextafter(t.steps[1].loss, 3.0); });
  expect_new([](Trace& t) { t.steps[0].step = 7; });
  expect_new([](Trace& t) { t.steps[0].accuracy = -t.steps[0].accuracy; });
  expect_new([](Trace& t) { std::swap(t.steps[0].lr, t.steps[0].grad_norm); });
  expect_new([](Trace& t) { std::swap(t.steps[0].theta_norm, t.steps[1].theta_norm); });
  expect_new([](Trace& t) { t.tests[0].accuracy = 0; });
  expect_new([](Trace& t) { t.tests.clear(); });
  expect_new([](Trace& t) { t.steps.pop_back(); });
}

TEST_F(Digest, KnowsNamesTypesAndExtents) {
  const std::string path = directory_ / "file.h5";
  const auto digest = [&](auto&& fill) {
    publish_h5(path, {"grid", "", "", "", "", ""}, fill);
    return content_digest(path);
  };
  const std::vector<float> ones(6, 1.0f);
  const std::string base = digest([&](h5::File& f) { f.write("/group/a", ones.data(), {2, 3}); });
  std::set<std::string> digests = {base};
  digests.insert(digest([&](h5::File& f) { f.write("/group/b", ones.data(), {2, 3}); }));
  digests.insert(digest([&](h5::File& f) { f.write("/a", ones.data(), {2, 3}); }));
  digests.insert(digest([&](h5::File& f) { f.write("/group/a", ones.data(), {3, 2}); }));
  digests.insert(digest([&](h5::File& f) { f.write("/group/a", ones.data(), {6}); }));
  digests.insert(digest([&](h5::File& f) { f.write("/group/a", std::vector<double>(6, 1.0)); }));
  digests.insert(digest([&](h5::File& f) { f.write("/group/a", std::vector<std::int64_t>(6, 1)); }));
  digests.insert(digest([&](h5::File& f) { f.write("/group/a", std::vector<std::int32_t>(6, 1)); }));
  EXPECT_EQ(digests.size(), 8u);
  EXPECT_EQ(digest([&](h5::File& f) {
              f.write("/group/a", ones.data(), {2, 3});
              f.set_attribute("/group/a", "units", std::string("m"));
              f.write("/seconds", ones);
            }),
            base);
}

TEST_F(Digest, OfCheckpointsAndGrids) {
  const SmallRun run = mlp_run(1);
  const auto process = run.process<float>();
  auto state = process->initial_state();
  const std::string path = directory_ / "step.h5";
  const auto checkpoint = [&] {
    write_checkpoint<float>(path, {}, state, *process);
    return content_digest(path);
  };
  const std::string before = checkpoint();
  EXPECT_EQ(checkpoint(), before);
  state.buffers[0] = 0.5f;
  EXPECT_NE(checkpoint(), before);

  write_grid(path, {}, make_grid({0, 1}));
  const std::string grid = content_digest(path);
  Grid other = make_grid({0, 1});
  other.records[1].batch_index[2] += 1;
  write_grid(path, {}, other);
  EXPECT_NE(content_digest(path), grid);
}

TEST_F(Digest, OfADirectoryIsOfItsPublishedFiles) {
  const auto run = [&](const std::string& name, double loss) {
    Trace trace = make_trace();
    trace.steps[0].loss = loss;
    write_trace(directory_ / (name + "/trace/a.h5"), {}, trace);
    write_trace(directory_ / (name + "/trace/b.h5"), {}, make_trace());
    write_bytes(directory_ / (name + "/config.toml"), name);
    return directory_digest(directory_ / name);
  };
  const std::string first = run("first", 1.0);
  EXPECT_EQ(run("second", 1.0), first) << "the folder's own name and texts are left out";
  EXPECT_NE(run("third", 2.0), first);
  write_bytes(directory_ / "first/trace/.c.h5.tmp-12", "half a file");
  write_bytes(directory_ / "first/trace/.c.h5", "hidden");
  EXPECT_EQ(directory_digest(directory_ / "first"), first);
  std::filesystem::rename(directory_ / "second/trace/b.h5", directory_ / "second/trace/c.h5");
  EXPECT_NE(directory_digest(directory_ / "second"), first) << "names count";
  std::filesystem::remove(directory_ / "first/trace/b.h5");
  EXPECT_NE(directory_digest(directory_ / "first"), first);
}

TEST_F(Digest, RefusesWhatIsNotGradscapes) {
  h5::File::create(directory_ / "foreign.h5").write("/x", std::vector<double>{1});
  expect_error([&] { content_digest(directory_ / "foreign.h5"); }, {"foreign.h5", "not one of gradscape's"});
  expect_error([&] { content_digest(directory_ / "missing.h5"); }, {"missing.h5"});
}

}  // namespace
}  // namespace gradscape::testing
