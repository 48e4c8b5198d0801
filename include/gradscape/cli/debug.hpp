#pragma once

#include <string>
#include <vector>

#include "gradscape/core/doing.hpp"

namespace gradscape {

/// The command that does what failed again, and no more than it must: of a survey the one step, of training from the
/// last checkpoint on, of anything else all. `given`: the arguments of this one, the verb first.
std::string replay_command(const std::string& program, const std::vector<std::string>& given,
                           const std::vector<Work>& failed);

/// What --debug adds to an error: what was being done, how to do it again, and with which program.
std::string debug_text(const std::string& program, const std::vector<std::string>& given,
                       const std::vector<Work>& failed);

}  // namespace gradscape
