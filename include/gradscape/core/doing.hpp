// What is being done, so that an error can be told with the work it came from (--debug).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradscape {

/// A piece of work: "sweep" of "runs/a", "computing" step 5, "reading" a path.
struct Work {
  std::string what;
  std::string where;
  std::int64_t first = -1;  // steps [first, last); -1: of none
  std::int64_t last = -1;
};

/// Says what is done for as long as it lives. It costs nothing unless an exception ends it: then it adds itself to
/// failed_work(). The texts must outlive it.
class Doing {
 public:
  explicit Doing(std::string_view what, std::string_view where = "", std::int64_t first = -1,
                 std::int64_t last = -1) noexcept;
  ~Doing();
  Doing(const Doing&) = delete;
  Doing& operator=(const Doing&) = delete;

 private:
  std::string_view what_, where_;
  std::int64_t first_, last_;
  int exceptions_;  // in flight when it began
};

/// What the last exception of this thread ended, the innermost first. Nothing once other work has begun or ended since:
/// that exception was dealt with.
const std::vector<Work>& failed_work();

/// "computing step 5", "sweep runs/a", "reading a.h5".
std::string describe(const Work& work);

}  // namespace gradscape
