// Who may train in a run directory: one process at a time, on whatever machine.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "gradscape/host/process_identity.hpp"

namespace gradscape {

/// Who holds a directory by the lock file `path`: "process 12 on HOST"; nothing where nobody living does. Error where
/// the file is there and cannot be read.
std::optional<std::string> living_holder(const std::string& path);

/// Holds a directory by a file in it, for as long as the object lives. The file names its holder and is touched every
/// few seconds (its heartbeat), so the file system needs no locks: only link() or O_EXCL, and rename(), are asked for.
///
/// The lock of a holder that died is taken over: at once where this process can look for it (same boot and PID
/// namespace), elsewhere when its heartbeat has stopped. A paused process may thus lose its directory to another
/// machine: require_held() tells it before it writes again.
class RunLock {
 public:
  /// Takes the lock file `path`, whose folder exists. Error naming the holder (process, host, since when) where a
  /// living one has it, and where the file cannot be made.
  explicit RunLock(const std::string& path);
  /// Gives the directory back.
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

  /// Error where another process has taken the directory over, or the file was deleted.
  void require_held() const;

 private:
  bool holds() const;

  std::string path_;
  int descriptor_ = -1;  // of the own file, whatever becomes of its name
  std::mutex mutex_;
  std::condition_variable ended_;
  bool end_ = false;
  std::thread heart_;
};

}  // namespace gradscape
