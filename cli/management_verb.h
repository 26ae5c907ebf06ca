#pragma once

#include <functional>
#include <string>

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/exit_codes.h"

namespace stasis::cli {

/// The words and options that verbs on named machines share.
inline constexpr ArgumentSpec kVmArgument[] = {{"VM"}};
inline constexpr ArgumentSpec kVmAndSnapshotArguments[] = {{"VM"}, {"SNAP"}};
inline constexpr OptionSpec kJsonOption = {"json", "", "Prints one JSON record (docs/json.md)."};
inline constexpr OptionSpec kJsonOptions[] = {kJsonOption};

/// The exit code for why a management verb failed.
ExitCode exit_code_of(base::ErrorKind kind);

/// Says why `verb` failed, and gives its exit code.
ExitCode say_failure(std::string_view verb, const base::Error& error);

/// Prints `text`; what the verb ends with.
ExitCode print_result(std::string_view text);

/// As above, or says why there is none.
ExitCode finish_verb(std::string_view verb, const base::Result<std::string>& text);

/// `{"schema": 1, "machine": NAME, "state": STATE}` with --json, else nothing.
std::string done_text(const CommandLine& line, std::string_view state);

/// The machine that a verb names.
const std::string& vm_name(const CommandLine& line);

}  // namespace stasis::cli
