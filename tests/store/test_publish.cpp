// Files appear whole or not at all, and a reader takes nothing but a whole file of gradscape's.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "gradscape/host/version.hpp"
#include "gradscape/store/publish.hpp"
#include "support/errors.hpp"
#include "support/h5_inspect.hpp"

namespace gradscape::testing {
namespace {

const Provenance kOrigin{"trace", "name", "bn", "[train]\nlr = 0.1\n", "CIFAR-10", "0123456789abcdef"};

void publish_values(const std::string& path, const std::vector<double>& values) {
  publish_h5(path, kOrigin, [&](h5::File& file) { file.write("/values", values); });
}

std::vector<double> read_values(const std::string& path) {
  return open_published(path, "trace").read<double>("/values");
}

class Publish : public ::testing::Test {
 protected:
  std::vector<std::string> names() const { return all_names(directory_.path()); }
  std::string path() const { return directory_ / "file.h5"; }
  TemporaryDirectory directory_;
};

TEST_F(Publish, LeavesTheFileAndNothingElse) {
  publish_values(path(), {1, 2, 3});
  EXPECT_EQ(names(), std::vector<std::string>{"file.h5"});
  EXPECT_EQ(read_values(path()), (std::vector<double>{1, 2, 3}));
  publish_values(path(), {4});
  EXPECT_EQ(names(), std::vector<std::string>{"file.h5"});
  EXPECT_EQ(read_values(path()), std::vector<double>{4}) << "a newer file takes the old one's place";
}

TEST_F(Publish, MakesMissingFolders) {
  publish_values(directory_ / "a/b/file.h5", {1});
  publish_text(directory_ / "c/d/file.txt", "text");
  EXPECT_EQ(names(), (std::vector<std::string>{"a", "a/b", "a/b/file.h5", "c", "c/d", "c/d/file.txt"}));
}

TEST_F(Publish, TheFileIsHiddenAndIncompleteUntilItIsWhole) {
  publish_h5(path(), kOrigin, [&](h5::File& file) {
    file.write("/values", std::vector<double>{1});
    EXPECT_FALSE(file.has_attribute("/", "complete"));
    const auto now = names();
    ASSERT_EQ(now.size(), 1u);
    EXPECT_EQ(now[0].front(), '.');
    EXPECT_FALSE(now[0].ends_with(".h5")) << "no reader of *.h5 picks it up";
    EXPECT_EQ(directory_ / now[0], file.path());
  });
  EXPECT_EQ(open_published(path(), "").integer_attribute("/", "complete"), 1);
}

// Two tasks of a cluster job may make the same shard. Their temporary files are their own, and a reader finds one
// file or the other.
TEST_F(Publish, ProcessesMayPublishOneFileAtOnce) {
  constexpr int kProcesses = 3, kTimes = 40;
  publish_values(path(), std::vector<double>(20'000, -1.0));
  std::vector<pid_t> children;
  for (int child = 0; child < kProcesses; ++child) {
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      int code = 0;
      try {
        for (int i = 0; i < kTimes; ++i) publish_values(path(), std::vector<double>(20'000, child));
      } catch (const std::exception&) {
        code = 1;
      }
      ::_exit(code);
    }
    children.push_back(pid);
  }
  while (!children.empty()) {
    const auto values = read_values(path());
    ASSERT_EQ(values.size(), 20'000u);
    ASSERT_EQ(std::count(values.begin(), values.end(), values[0]), 20'000);
    int status = 0;
    if (::waitpid(children.back(), &status, WNOHANG) == 0) continue;
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    children.pop_back();
  }
  EXPECT_EQ(names(), std::vector<std::string>{"file.h5"});
}

TEST_F(Publish, TemporaryNamesAreTheProcesssOwn) {
  std::string mine;
  publish_h5(path(), kOrigin, [&](h5::File& file) { mine = file.path(); });
  char host[256] = {};
  ASSERT_EQ(::gethostname(host, sizeof host - 1), 0);
  EXPECT_NE(mine.find(host), std::string::npos) << "hosts that share a folder";
  EXPECT_NE(mine.find(fmt::format("-{}-", ::getpid())), std::string::npos);
}

TEST_F(Publish, AThrowingWriterLeavesNoTrace) {
  const auto fail_with = [&](auto error) {
    publish_h5(path(), kOrigin, [&](h5::File& file) {
      file.write("/values", std::vector<double>(100'000, 1.0));
      throw error;
    });
  };
  expect_error([&] { fail_with(Error("somewhere", "went wrong")); }, {"somewhere: went wrong"});
  EXPECT_TRUE(names().empty());
  EXPECT_THROW(fail_with(std::logic_error("bug")), std::logic_error);
  EXPECT_TRUE(names().empty());
}

TEST_F(Publish, AThrowingWriterLeavesAnOldFileAlone) {
  publish_values(path(), {1, 2, 3});
  const std::string before = read_bytes(path());
  EXPECT_THROW(publish_h5(path(), kOrigin, [](h5::File&) { throw Error("somewhere", "went wrong"); }), Error);
  EXPECT_EQ(names(), std::vector<std::string>{"file.h5"});
  EXPECT_EQ(read_bytes(path()), before);
}

TEST_F(Publish, WhereItCannotWriteItSaysSo) {
  write_bytes(directory_ / "file", "not a folder");
  expect_error([&] { publish_values(directory_ / "file/inside.h5", {1}); }, {directory_ / "file"});
  expect_error([&] { publish_text(directory_ / "file/inside.txt", "x"); }, {directory_ / "file"});
  std::filesystem::create_directories(directory_ / "taken.h5/inside");
  expect_error([&] { publish_values(directory_ / "taken.h5", {1}); }, {directory_ / "taken.h5", "cannot rename"});
  expect_error([&] { publish_text(directory_ / "taken.h5", "x"); }, {directory_ / "taken.h5", "cannot rename"});
  EXPECT_EQ(names(), (std::vector<std::string>{"file", "taken.h5", "taken.h5/inside"})) << "no temporary file stays";
}

TEST_F(Publish, TextComesBackToTheByte) {
  std::string text = "line\r\n\ttab, grün and a zero: ";
  text.push_back('\0');
  publish_text(directory_ / "config.toml", text);
  EXPECT_EQ(read_bytes(directory_ / "config.toml"), text);
  publish_text(directory_ / "config.toml", "");
  EXPECT_EQ(read_bytes(directory_ / "config.toml"), "");
  EXPECT_EQ(names(), std::vector<std::string>{"config.toml"});
}

TEST_F(Publish, FilesSayWhereTheyComeFrom) {
  publish_values(path(), {1});
  const h5::File file = open_published(path(), "trace");
  const Provenance origin = read_provenance(file);
  EXPECT_EQ(origin.file_type, "trace");
  EXPECT_EQ(origin.name, "name");
  EXPECT_EQ(origin.variant, "bn");
  EXPECT_EQ(origin.config, kOrigin.config);
  EXPECT_EQ(origin.data_name, "CIFAR-10");
  EXPECT_EQ(origin.data_fingerprint, "0123456789abcdef");
  EXPECT_EQ(file.text_attribute("/", "program"), "gradscape");
  EXPECT_EQ(file.text_attribute("/", "program_version"), build_info().version);
  EXPECT_EQ(file.text_attribute("/", "git_revision"), build_info().git_revision);
  EXPECT_EQ(file.text_attribute("/", "compiler"), build_info().compiler);
  EXPECT_NE(file.text_attribute("/", "compiler_flags").find("-ffp-contract=off"), std::string::npos);
  EXPECT_EQ(file.integer_attribute("/", "format_version"), kFormatVersion);
}

TEST_F(Publish, ReadersWantTheRightKindOfFile) {
  publish_values(path(), {1});
  expect_error([&] { open_published(path(), "grid"); }, {path(), "is a trace file, expected a grid file"});
  EXPECT_NO_THROW(open_published(path(), ""));
}

TEST_F(Publish, ReadersRefuseWhatIsNoHdf5File) {
  const auto refused = [&](const std::string& bytes) {
    write_bytes(path(), bytes);
    expect_error([&] { open_published(path(), "trace"); }, {path(), "cannot be read as an HDF5 file", "hint"});
  };
  refused("step,loss\n0,2.3\n");
  refused("");
  std::string random;
  for (std::uint32_t i = 0, x = 1; i < 10'000; ++i)
    random.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  refused(random);
  expect_error([&] { open_published(directory_ / "missing.h5", "trace"); }, {"missing.h5"});
}

TEST_F(Publish, ReadersRefuseATruncatedFile) {
  publish_values(path(), std::vector<double>(5000, 1.0));
  const std::string whole = read_bytes(path());
  for (const double share : {0.02, 0.3, 0.7, 0.999}) {
    write_bytes(path(), whole.substr(0, static_cast<std::size_t>(share * static_cast<double>(whole.size()))));
    expect_error([&] { open_published(path(), "trace"); }, {path()});
  }
}

TEST_F(Publish, ReadersRefuseForeignAndIncompleteHdf5Files) {
  h5::File::create(path()).write("/values", std::vector<double>{1});
  expect_error([&] { open_published(path(), ""); }, {path(), "not one of gradscape's"});
  {
    h5::File file = h5::File::create(path());
    file.set_attribute("/", "program", std::string("anotherscape"));
    file.set_attribute("/", "file_type", std::string("trace"));
    file.set_attribute("/", "complete", std::int64_t{1});
  }
  expect_error([&] { open_published(path(), ""); }, {path(), "not one of gradscape's"});
  {
    h5::File file = h5::File::create(path());
    file.set_attribute("/", "program", std::string("gradscape"));
    file.set_attribute("/", "file_type", std::string("trace"));
    file.set_attribute("/", "format_version", std::int64_t{1});
  }
  expect_error([&] { open_published(path(), "trace"); }, {path(), "not complete"});
}

TEST_F(Publish, ReadersRefuseAnotherFormatVersion) {
  {
    h5::File file = h5::File::create(path());
    file.set_attribute("/", "program", std::string("gradscape"));
    file.set_attribute("/", "program_version", std::string("9.8.7"));
    file.set_attribute("/", "file_type", std::string("trace"));
    file.set_attribute("/", "format_version", kFormatVersion + 1);
    file.set_attribute("/", "complete", std::int64_t{1});
  }
  expect_error([&] { open_published(path(), "trace"); }, {path(), "format version 3", "versions 1 to 2", "9.8.7"});
}

// Changes as another program makes them, with HDF5's own checksums right.
TEST_F(Publish, WhatWasChangedIsCaught) {
  const auto publish_two = [&] {
    publish_h5(path(), kOrigin, [](h5::File& file) {
      file.write("/a", std::vector<double>{1, 2});
      file.write("/b", std::vector<double>{1, 2});
      file.write("/seconds", std::vector<double>{1, 2});
      file.set_attribute("/a", "labels", std::string("x,y"));
      file.set_attribute("/a", "units", std::string("m"));
    });
  };
  const auto changed = [&](auto&& change) {
    publish_two();
    { change(open_for_changes(path()).get()); }
    expect_error([&] { open_published(path(), "trace"); }, {path(), "does not hold what was written", "hash"});
  };
  publish_two();
  EXPECT_NO_THROW(open_published(path(), "trace"));
  changed([](hid_t file) { H5Adelete(file, "variant"); });
  changed([](hid_t file) { H5Arename(file, "variant", "variants"); });
  changed([](hid_t file) {
    const h5::Handle attribute(H5Aopen(file, "name", H5P_DEFAULT), H5Aclose),
        type(H5Aget_type(attribute.get()), H5Tclose);
    H5Awrite(attribute.get(), type.get(), "game");
  });
  changed([](hid_t file) { H5Ldelete(file, "/b", H5P_DEFAULT); });
  changed([](hid_t file) { H5Lmove(file, "/b", file, "/c", H5P_DEFAULT, H5P_DEFAULT); });
  changed([](hid_t file) { H5Lcreate_hard(file, "/a", file, "/c", H5P_DEFAULT, H5P_DEFAULT); });
  changed([](hid_t file) { H5Adelete_by_name(file, "/a", "labels", H5P_DEFAULT); });
  publish_two();
  { H5Adelete_by_name(open_for_changes(path()).get(), "/b", h5::kHash, H5P_DEFAULT); }
  expect_error([&] { open_published(path(), "trace"); }, {path(), "/b has no hash"});
  publish_two();
  { H5Adelete(open_for_changes(path()).get(), "content_hash"); }
  expect_error([&] { open_published(path(), "trace"); }, {path(), "has no hash of its content"});
  publish_two();
  overwrite_dataset<double>(path(), "/b", {1, 3});
  expect_error([&] { open_published(path(), "trace").read<double>("/b"); },
               {path(), "/b does not hold what was written"});
  EXPECT_NO_THROW(open_published(path(), "trace").read<double>("/a"));
}

TEST_F(Publish, TheContentsHashLeavesOutWallTimes) {
  const auto hash_of = [&](double value, double seconds, const std::string& name) {
    Provenance origin = kOrigin;
    origin.name = name;
    publish_h5(path(), origin, [&](h5::File& file) {
      file.write("/values", std::vector<double>{value});
      file.write("/seconds", std::vector<double>{seconds});
    });
    return *find_content_hash(open_published(path(), ""));
  };
  const std::uint64_t hash = hash_of(1, 1, "name");
  EXPECT_EQ(hash_of(1, 2, "name"), hash);
  EXPECT_NE(hash_of(2, 1, "name"), hash);
  EXPECT_NE(hash_of(1, 1, "other"), hash);
}

TEST_F(Publish, FilesOfFormat1AreRead) {
  publish_values(path(), {1, 2});
  make_format_1(path());
  EXPECT_EQ(read_values(path()), (std::vector<double>{1, 2}));
  EXPECT_FALSE(find_content_hash(open_published(path(), "trace")));
}

TEST_F(Publish, AFlippedBitIsCaught) {
  publish_values(path(), std::vector<double>(1000, 1.5));
  damage_dataset(path(), "/values");
  expect_error([&] { read_values(path()); }, {path(), "/values"});
}

}  // namespace
}  // namespace gradscape::testing
