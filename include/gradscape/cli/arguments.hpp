// From what people type to what the parser takes, and what they may have meant where it takes it not.
#pragma once

#include <string>
#include <vector>

#include "gradscape/cli/verb.hpp"
#include "gradscape/core/error.hpp"

namespace gradscape {

/// In the order of help.
std::vector<const CLI::App*> verbs_of(const CLI::App& app);

/// "help" is --help, "help run" is "run --help".
std::vector<std::string> read_arguments(int argc, char** argv);

/// UsageError for a first argument that is no verb, in better words than "a subcommand is required".
void require_known_verb(const CLI::App& app, const std::vector<std::string>& given);

/// The arguments, last one first, as CLI11 takes them. It would give "--out=" the next argument as its value: here that
/// is an empty value.
std::vector<std::string> reversed_arguments(const CLI::App& app, const std::vector<std::string>& given);

/// Which arguments a verb does not take, as the parser has `told`, and what may have been meant. An option before the
/// verb is as unknown.
UsageError explain_extra(const CLI::App& app, const std::string& told, const std::vector<std::string>& given);

}  // namespace gradscape
