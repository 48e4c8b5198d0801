#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "gradscape/store/run_lock.hpp"
#include "support/errors.hpp"
#include "support/temporary_directory.hpp"

namespace gradscape::testing {
namespace {

namespace fs = std::filesystem;

std::string lock_text(const ProcessIdentity& process, const std::string& token) {
  return "host=" + process.host + "\nspace=" + process.space + "\npid=" + std::to_string(process.pid) +
         "\nstart=" + std::to_string(process.start) + "\nsince=2026-01-01T00:00:00Z\ntoken=" + token + "\n";
}

/// A process of this machine that has ended.
ProcessIdentity dead_process() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ProcessIdentity process = this_process();
  process.pid = child;
  process.start += 1;
  int status = 0;
  ::waitpid(child, &status, 0);
  return process;
}

class RunLockTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  const std::string path_ = directory_ / ".lock";
};

TEST_F(RunLockTest, HoldsForItsLifeAndLeavesNothing) {
  {
    const RunLock lock(path_);
    EXPECT_TRUE(fs::exists(path_));
    EXPECT_NO_THROW(lock.require_held());
    expect_error([&] { RunLock second(path_); },
                 {directory_.path(), "is being trained", std::to_string(::getpid()), "--resume"});
  }
  EXPECT_TRUE(all_names(directory_.path()).empty());
  EXPECT_NO_THROW(RunLock again(path_));
}

TEST_F(RunLockTest, TakesADeadProcessesPlaceAtOnce) {
  write_bytes(path_, lock_text(dead_process(), "x"));
  const auto start = std::chrono::steady_clock::now();
  const RunLock lock(path_);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_NO_THROW(lock.require_held());
  EXPECT_EQ(all_names(directory_.path()), std::vector<std::string>{".lock"});
}

TEST_F(RunLockTest, AProcessIdThatWasGivenAgainIsNoHolder) {
  ProcessIdentity process = this_process();
  process.start -= 1;
  write_bytes(path_, lock_text(process, "x"));
  EXPECT_NO_THROW(RunLock lock(path_));
}

// A process elsewhere cannot be looked for; an old heartbeat tells.
TEST_F(RunLockTest, TakesTheSilentOnesPlaceElsewhere) {
  ProcessIdentity process = this_process();
  process.host = "elsewhere";
  write_bytes(path_, lock_text(process, "x"));
  fs::last_write_time(path_, fs::file_time_type::clock::now() - std::chrono::minutes(10));
  EXPECT_NO_THROW(RunLock lock(path_));
}

TEST_F(RunLockTest, ALivingOneElsewhereIsNamed) {
  ProcessIdentity process = this_process();
  process.host = "elsewhere";
  write_bytes(path_, lock_text(process, "x"));
  const pid_t heart = ::fork();
  if (heart == 0)
    while (true) {
      ::usleep(100'000);
      ::utimensat(AT_FDCWD, path_.c_str(), nullptr, 0);
    }
  expect_error([&] { RunLock lock(path_); }, {"elsewhere", std::to_string(process.pid)});
  ::kill(heart, SIGKILL);
  int status = 0;
  ::waitpid(heart, &status, 0);
}

TEST_F(RunLockTest, TellsThatItWasTakenOver) {
  const RunLock lock(path_);
  fs::remove(path_);
  expect_error([&] { lock.require_held(); }, {".lock", "no longer held"});
  ProcessIdentity process = this_process();
  process.host = "elsewhere";
  write_bytes(path_, lock_text(process, "x"));
  expect_error([&] { lock.require_held(); }, {"elsewhere", "taken the run over"});
}

TEST_F(RunLockTest, AnotherOnesFileStaysWhenItEnds) {
  {
    const RunLock lock(path_);
    fs::remove(path_);
    write_bytes(path_, "another's");
  }
  EXPECT_TRUE(fs::exists(path_));
}

TEST(ProcessIdentity, KnowsTheLivingAndTheDead) {
  EXPECT_EQ(life_of(this_process()), Life::alive);
  EXPECT_EQ(life_of(dead_process()), Life::dead);
  ProcessIdentity other = this_process();
  other.space = "0123456789abcdef";
  EXPECT_EQ(life_of(other), Life::unknown);
}

TEST(ProcessIdentity, IsReadBackFromTemporaryNames) {
  const auto process = parse_process_suffix(process_suffix());
  ASSERT_TRUE(process);
  EXPECT_EQ(process->host, this_process().host);
  EXPECT_EQ(process->pid, ::getpid());
  EXPECT_EQ(life_of(*process), Life::alive);
  for (const char* text : {"", "123", "host-12-0badcafe", "host-0123456789abcdef-x-0badcafe"})
    EXPECT_FALSE(parse_process_suffix(text)) << text;
}

}  // namespace
}  // namespace gradscape::testing
