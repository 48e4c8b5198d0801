#include <gtest/gtest.h>

#include "gradscape/config/folder_name.hpp"
#include "gradscape/core/error.hpp"
#include "support/errors.hpp"

namespace gradscape::testing {
namespace {

TEST(FolderName, TakesWhatAnyFolderCanBeCalled) {
  for (const std::string name : {"a", "main", "bn-vs-none", "a b", "v1.2", "Größe", "漢字", "bn-lr-0.5", "seed",
                                 "seeds-1", "seed-one", "lr-", "lr-high", "1", "a,b;c", "h5", "toml"})
    EXPECT_NO_THROW(require_folder_name("here", "name", name)) << name;
  EXPECT_NO_THROW(require_folder_name("here", "name", std::string(100, 'x')));
}

TEST(FolderName, RefusesTheRestAndSaysWhy) {
  const auto refuse = [](const std::string& name, const std::string& why) {
    expect_error<UsageError>([&] { require_folder_name("file.toml", "experiment.name", name); },
                             {"file.toml: experiment.name = ", why, "hint: "});
  };
  refuse("", "it is empty");
  refuse(std::string(101, 'x'), "it has 101 bytes");
  for (const char c : std::string("/*?[]{}\"'\\`$<>|")) {
    refuse(std::string("a") + c + "b", std::string("it holds ") + c);
    refuse(std::string(1, c), std::string("it holds ") + c);
  }
  for (int c = 1; c < 0x20; ++c) refuse(std::string("a") + static_cast<char>(c), "a control character");
  refuse("a\x7f", "a control character");
  refuse(std::string("a\0b", 3), "a control character");
  for (const std::string name : {".", "..", ".hidden"}) refuse(name, "it begins with .");
  for (const std::string name : {"-", "-x", "--resume"}) refuse(name, "it begins with -");
  for (const std::string name : {" a", "a ", " "}) refuse(name, "a space");
  for (const std::string name :
       {"checkpoints", "trace", "sweep", "partial", "slurm", "gradscape-run", "config.toml", "runs.h5", "landscape.h5",
        "a.h5", "a.toml", "seed-1", "seed-0017", "lr-0.1", "lr-1e-7", "lr-1"})
    refuse(name, "of its own");
}

}  // namespace
}  // namespace gradscape::testing
