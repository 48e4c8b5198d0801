#include "gradscape/store/run_lock.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>
#include <sstream>

#include "gradscape/core/error.hpp"
#include "gradscape/host/interrupt.hpp"
#include "gradscape/host/progress.hpp"

namespace gradscape {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kBeat = std::chrono::seconds(3);
constexpr auto kSilence = std::chrono::seconds(30);  // of a holder that cannot be looked for: then it is dead

/// What a lock file says.
struct Holder {
  ProcessIdentity process;
  std::string since;
  std::string token;  // no two processes have the same
};

std::string holder_text(const Holder& holder) {
  const ProcessIdentity& process = holder.process;
  return fmt::format("host={}\nspace={}\npid={}\nstart={}\nsince={}\ntoken={}\n", process.host, process.space,
                     process.pid, process.start, holder.since, holder.token);
}

/// Nothing where the text is not all there: it may be being written.
std::optional<Holder> parse_holder(const std::string& text) {
  Holder holder;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    const std::size_t sign = line.find('=');
    if (sign == std::string::npos) continue;
    const std::string key = line.substr(0, sign), value = line.substr(sign + 1);
    if (key == "host") holder.process.host = value;
    if (key == "space") holder.process.space = value;
    if (key == "pid") holder.process.pid = std::strtoll(value.c_str(), nullptr, 10);
    if (key == "start") holder.process.start = std::strtoull(value.c_str(), nullptr, 10);
    if (key == "since") holder.since = value;
    if (key == "token") holder.token = value;
  }
  if (holder.process.pid <= 0 || holder.token.empty()) return {};
  return holder;
}

Holder this_holder() {
  const std::time_t now = std::time(nullptr);
  std::tm parts = {};
  ::gmtime_r(&now, &parts);
  char since[32];
  std::strftime(since, sizeof since, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {this_process(), since, process_suffix()};
}

/// A lock file as it is seen at one moment.
struct Sight {
  std::optional<Holder> holder;
  timespec touched = {};
  ino_t file = 0;
};

/// Nothing where there is no file. The file is opened even for its times: network file systems ask the server then.
std::optional<Sight> look(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) {
    if (errno == ENOENT) return {};
    throw Error(path, fmt::format("cannot be opened: {}", std::strerror(errno)));
  }
  struct stat status = {};
  char text[1024];
  const bool known = ::fstat(descriptor, &status) == 0;
  const ssize_t size = ::read(descriptor, text, sizeof text);
  const int code = errno;
  ::close(descriptor);
  if (!known || size < 0) throw Error(path, fmt::format("cannot be read: {}", std::strerror(code)));
  return Sight{parse_holder({text, static_cast<std::size_t>(size)}), status.st_mtim, status.st_ino};
}

bool same(const Sight& a, const Sight& b) {
  return a.file == b.file && a.touched.tv_sec == b.touched.tv_sec && a.touched.tv_nsec == b.touched.tv_nsec;
}

/// A file with this text under a name of its own; its descriptor is returned.
int write_own_file(const std::string& path, const std::string& text) {
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (descriptor < 0) return -1;
  if (::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size())) return descriptor;
  const int code = errno;
  ::close(descriptor);
  ::unlink(path.c_str());
  errno = code;
  return -1;
}

std::string describe(const Holder& holder) {
  return fmt::format("process {} on {}", holder.process.pid, holder.process.host);
}

[[noreturn]] void refuse(const std::string& path, const std::optional<Holder>& holder) {
  const std::string who = holder ? fmt::format("{} (since {})", describe(*holder), holder->since) : "another process";
  throw Error(std::filesystem::path(path).parent_path().string(), fmt::format("is being trained by {}", who),
              "wait until it is done, or stop it and call again with --resume; sweeps beside it need not wait");
}

/// Throws where the lock's holder lives, returns where it is dead or gone. `fresh`: a moment ago by the file system's
/// clock.
void outlive_holder(const std::string& path, const Sight& found, const timespec& fresh) {
  const Life life = found.holder ? life_of(found.holder->process) : Life::unknown;
  if (life == Life::alive) refuse(path, found.holder);
  if (life == Life::dead) return;
  if (fresh.tv_sec - found.touched.tv_sec > 3 * kSilence.count()) return;
  say(fmt::format("{}: waiting up to {} s for a sign of life of {}", path, kSilence.count(),
                  found.holder ? describe(*found.holder) : "its holder"));
  for (const auto end = Clock::now() + kSilence; Clock::now() < end;) {
    if (interrupted()) throw interruption(path, "nothing was changed", "call it again");
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    const auto now = look(path);
    if (!now) return;
    if (!same(*now, found)) refuse(path, now->holder);
  }
}

/// Takes a dead holder's file away. Two processes may do so at once: the one that finds in its hand a living one's
/// file, made a moment ago, puts it back.
void remove_dead(const std::string& path, const Sight& dead) {
  const std::string aside = path + ".dead.tmp-" + process_suffix();
  if (std::rename(path.c_str(), aside.c_str()) != 0) return;  // another process did
  const auto taken = look(aside);
  const std::string expected = dead.holder ? dead.holder->token : "";
  const bool living = taken && (taken->holder ? taken->holder->token : "") != expected;
  // Where a third one's file lies there by now, the living one finds that it no longer holds the run.
  if (living && ::link(aside.c_str(), path.c_str()) != 0 && errno != EEXIST) {  // a file system without links
    std::rename(aside.c_str(), path.c_str());
    return;
  }
  ::unlink(aside.c_str());
}

}  // namespace

std::optional<std::string> living_holder(const std::string& path) {
  const auto found = look(path);
  if (!found) return {};
  const Life life = found->holder ? life_of(found->holder->process) : Life::unknown;
  if (life == Life::dead) return {};
  // Elsewhere only a heartbeat tells; another machine's clock may differ from this one's.
  if (life == Life::unknown && std::time(nullptr) - found->touched.tv_sec > 3 * kSilence.count()) return {};
  return found->holder ? describe(*found->holder) : "another process";
}

RunLock::RunLock(const std::string& path) : path_(path) {
  const Holder holder = this_holder();
  const std::string own = path + ".tmp-" + process_suffix();
  const std::string text = holder_text(holder);
  const int descriptor = write_own_file(own, text);
  if (descriptor < 0)
    throw Error(path, fmt::format("cannot be made: {}", std::strerror(errno)), "is the directory writable?");
  struct stat status = {};
  ::fstat(descriptor, &status);
  descriptor_ = descriptor;
  try {
    while (::link(own.c_str(), path.c_str()) != 0) {
      if (errno == EPERM || errno == ENOTSUP || errno == ENOSYS || errno == EMLINK) {  // a file system without links
        const int direct = write_own_file(path, text);
        if (direct >= 0) {
          ::close(descriptor_);
          descriptor_ = direct;
          break;
        }
      }
      if (errno != EEXIST) throw Error(path, fmt::format("cannot be made: {}", std::strerror(errno)));
      if (const auto found = look(path)) {
        outlive_holder(path, *found, status.st_mtim);
        remove_dead(path, *found);
      }
    }
  } catch (...) {
    ::unlink(own.c_str());
    ::close(descriptor_);
    throw;
  }
  ::unlink(own.c_str());
  heart_ = std::thread([this] {
    std::unique_lock guard(mutex_);
    while (!ended_.wait_for(guard, kBeat, [this] { return end_; })) ::futimens(descriptor_, nullptr);
  });
  ::pthread_setname_np(heart_.native_handle(), "heartbeat");  // so that nobody takes it for a computing one
}

RunLock::~RunLock() {
  {
    const std::lock_guard guard(mutex_);
    end_ = true;
  }
  ended_.notify_one();
  heart_.join();
  if (holds()) ::unlink(path_.c_str());
  ::close(descriptor_);
}

bool RunLock::holds() const {
  struct stat own = {}, named = {};
  return ::fstat(descriptor_, &own) == 0 && ::stat(path_.c_str(), &named) == 0 && own.st_ino == named.st_ino &&
         own.st_dev == named.st_dev;
}

void RunLock::require_held() const {
  if (holds()) return;
  const auto found = look(path_);
  throw Error(path_,
              found && found->holder ? fmt::format("{} has taken the run over", describe(*found->holder))
                                     : "is gone: the run is no longer held by this process",
              "nothing was written since; call again with --resume once the other process is done");
}

}  // namespace gradscape
