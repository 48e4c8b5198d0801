// Which process wrote something, and whether it still lives.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace gradscape {

struct ProcessIdentity {
  std::string host;
  std::string
      space;  // 16 hex digits: a hash of the machine's boot and PID namespace, within which process ids are unique
  std::int64_t pid = 0;
  std::uint64_t start = 0;  // in clock ticks since boot: tells a process from a later one with its id; 0: not known
};

ProcessIdentity this_process();

/// unknown: it runs on another machine, in another container or in an earlier boot, where this process cannot look.
enum class Life { alive, dead, unknown };

/// Looks into /proc. A process that has ended but was not reaped is dead.
Life life_of(const ProcessIdentity& process);

/// "HOST-SPACE-PID-RANDOM": what no other process adds to its temporary files' names. Tasks on several hosts may write
/// the same file of a shared folder.
std::string process_suffix();

/// The process that process_suffix() of it names (its start is not known); nothing where the text is no such suffix.
std::optional<ProcessIdentity> parse_process_suffix(const std::string& text);

}  // namespace gradscape
