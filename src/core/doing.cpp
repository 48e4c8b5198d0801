#include "gradscape/core/doing.hpp"

#include <fmt/format.h>

#include <exception>

namespace gradscape {
namespace {

thread_local std::vector<Work> failed;

}  // namespace

Doing::Doing(std::string_view what, std::string_view where, std::int64_t first, std::int64_t last) noexcept
    : what_(what), where_(where), first_(first), last_(last), exceptions_(std::uncaught_exceptions()) {
  if (exceptions_ == 0) failed.clear();
}

Doing::~Doing() {
  if (std::uncaught_exceptions() > exceptions_) {
    try {
      failed.push_back({std::string(what_), std::string(where_), first_, last_});
    } catch (...) {  // no memory: it is left out
    }
  } else if (exceptions_ == 0) {
    failed.clear();
  }
}

const std::vector<Work>& failed_work() {
  return failed;
}

std::string describe(const Work& work) {
  std::string text = work.what;
  if (work.first >= 0)
    text += work.last > work.first + 1 ? fmt::format(" steps {} to {}", work.first, work.last - 1)
                                       : fmt::format(" step {}", work.first);
  if (!work.where.empty()) text += " " + work.where;
  return text;
}

}  // namespace gradscape
