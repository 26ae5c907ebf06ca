#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "cli/exit_codes.h"

namespace stasis::cli {

/// Writes "stasis: `text`" and a line end to standard error in one write(2). `text` is the talk of
/// a command; its results go to standard output by `print`.
void say(std::string_view text);

/// Says that the process of the machine `name` died while it ran, and how.
void say_crash(std::string_view name, std::string_view detail);

/// Says why a command line is refused: "stasis: `text`". Returns ExitCode::kUsage.
ExitCode say_usage_error(const base::Error& error);

/// Writes `text` to standard output, all of it. False when the reader is gone or the disk is full.
bool print(std::string_view text);

}  // namespace stasis::cli
