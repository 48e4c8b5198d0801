#pragma once

#include <string>
#include <string_view>

namespace gradscape {

/// "seed-1", "lr-0.01": folders of a study's runs, below that of their variant.
bool is_run_folder(std::string_view name);

/// Names that become folders, or parts of their names: experiments, variants, scales, sweeps. UsageError unless `name`
/// has 1 to 100 bytes, none of / * ? [ ] { } " ' \ ` $ < > | or a control character, no . - or space in front and no
/// space behind, and is no name that the program gives itself. `where` names the file or the flag, `what` the name:
/// "experiment.name".
void require_folder_name(const std::string& where, const std::string& what, const std::string& name);

}  // namespace gradscape
