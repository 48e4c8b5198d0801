#include "gradscape/host/process_identity.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <random>
#include <sstream>

#include "gradscape/core/fingerprint.hpp"

namespace gradscape {
namespace {

std::string read_line(const char* path) {
  std::string line;
  std::getline(std::ifstream(path), line);
  return line;
}

std::string link_target(const char* path) {
  char target[128];
  const ssize_t size = ::readlink(path, target, sizeof target);
  return size > 0 ? std::string(target, static_cast<std::size_t>(size)) : "";
}

/// State ('R', 'S', 'Z', …) and start time of a process; state 0 where there is no such process.
struct ProcessState {
  char state = 0;
  std::uint64_t start = 0;
};

ProcessState state_of(std::int64_t pid) {
  std::ifstream stream("/proc/" + std::to_string(pid) + "/stat");
  const std::string text{std::istreambuf_iterator<char>(stream), {}};
  // "PID (NAME) STATE …": the name may hold anything, so count from its end. The start time is field 22.
  const std::size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return {};
  std::istringstream fields(text.substr(name_end + 1));
  ProcessState found;
  fields >> found.state;
  std::string skipped;
  for (int field = 4; field < 22; ++field) fields >> skipped;
  fields >> found.start;
  return found;
}

/// Host and name space, which do not change in a process's life or by fork().
ProcessIdentity find_place() {
  char host[256] = {};
  if (::gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
  std::replace(std::begin(host), std::end(host), '/', '-');
  Fingerprint space;
  space.add(read_line("/proc/sys/kernel/random/boot_id"));
  space.add(link_target("/proc/self/ns/pid"));
  return {host, space.hex(), 0, 0};
}

}  // namespace

ProcessIdentity this_process() {
  static const ProcessIdentity place = find_place();
  ProcessIdentity process = place;
  process.pid = ::getpid();
  process.start = state_of(process.pid).start;
  return process;
}

Life life_of(const ProcessIdentity& process) {
  const ProcessIdentity here = this_process();
  const bool same_space = process.space == here.space && process.host == here.host;
  if (!same_space || here.start == 0) return Life::unknown;  // start 0: there is no /proc to look into
  const ProcessState found = state_of(process.pid);
  if (found.state == 0 || found.state == 'Z' || found.state == 'X') return Life::dead;
  return process.start == 0 || process.start == found.start ? Life::alive : Life::dead;
}

std::string process_suffix() {
  static const unsigned random = std::random_device()();
  const ProcessIdentity process = this_process();
  return fmt::format("{}-{}-{}-{:08x}", process.host, process.space, process.pid, random);
}

std::optional<ProcessIdentity> parse_process_suffix(const std::string& text) {
  // From its end, as a host's name may hold what parts the others.
  std::string rest = text, parts[3];
  for (std::string& part : parts) {
    const std::size_t dash = rest.rfind('-');
    if (dash == std::string::npos) return {};
    part = rest.substr(dash + 1);
    rest.resize(dash);
  }
  const auto& [random, pid, space] = parts;
  const auto consists_of = [](const std::string& part, std::size_t size, const char* digits) {
    return part.size() == size && part.find_first_not_of(digits) == std::string::npos;
  };
  if (!consists_of(random, 8, "0123456789abcdef") || !consists_of(space, 16, "0123456789abcdef") || pid.empty() ||
      pid.size() > 18 || !consists_of(pid, pid.size(), "0123456789"))
    return {};
  return ProcessIdentity{rest, space, std::stoll(pid), 0};
}

}  // namespace gradscape
