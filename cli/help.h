#pragma once

#include <string>

#include "cli/verb.h"

namespace stasis::cli {

/// `stasis --help`: verbs, general options, exit codes, first steps.
std::string program_help();

/// `stasis VERB --help`: its options and examples.
std::string verb_help(const Verb& verb);

/// `stasis --version`: version, build and KVM API, one a line.
std::string version_text();

}  // namespace stasis::cli
