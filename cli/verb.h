#pragma once

#include <span>
#include <string_view>

#include "cli/exit_codes.h"

namespace stasis::cli {

class CommandLine;

/// One option of a verb. Parser, help text and spelling hints all read this.
struct OptionSpec {
  std::string_view name;   ///< without the two dashes
  std::string_view value;  ///< what the help calls its value; empty for a flag
  std::string_view help;   ///< lines of at most 60 columns
  bool is_repeatable = false;
  char letter = 0;                 ///< of the short form "-a"; flags only
  bool is_value_optional = false;  ///< "--compress" or "--compress=3", never "--compress 3"
};

/// One word of a verb that is no option, in its place.
struct ArgumentSpec {
  std::string_view name;  ///< as the help calls it
  bool is_optional = false;
};

/// One verb: `stasis NAME [ARGUMENTS] [OPTIONS]`. Each lives in the file of its name; a name of two
/// words, "snapshot list", is one of a group.
struct Verb {
  std::string_view name;
  std::string_view summary;
  std::span<const OptionSpec> options;
  std::string_view notes;  ///< examples and the like, printed below the options
  ExitCode (*run)(const CommandLine&);
  std::span<const ArgumentSpec> arguments = {};
};

extern const Verb kRunVerb;
extern const Verb kStartVerb;
extern const Verb kStopVerb;
extern const Verb kKillVerb;
extern const Verb kPauseVerb;
extern const Verb kResumeVerb;
extern const Verb kRmVerb;
extern const Verb kPsVerb;
extern const Verb kInfoVerb;
extern const Verb kConsoleVerb;
extern const Verb kLogsVerb;
extern const Verb kSnapshotCreateVerb;
extern const Verb kSnapshotListVerb;
extern const Verb kSnapshotShowVerb;
extern const Verb kSnapshotApplyVerb;
extern const Verb kSnapshotDeleteVerb;
extern const Verb kSnapshotRenameVerb;
extern const Verb kSnapshotVerifyVerb;
extern const Verb kSnapshotSelftestVerb;
extern const Verb kDoctorVerb;

/// All verbs, in the order of the help text.
inline constexpr const Verb* kVerbs[] = {
    &kRunVerb,
    &kStartVerb,
    &kStopVerb,
    &kKillVerb,
    &kPauseVerb,
    &kResumeVerb,
    &kRmVerb,
    &kPsVerb,
    &kInfoVerb,
    &kConsoleVerb,
    &kLogsVerb,
    &kSnapshotCreateVerb,
    &kSnapshotListVerb,
    &kSnapshotShowVerb,
    &kSnapshotApplyVerb,
    &kSnapshotDeleteVerb,
    &kSnapshotRenameVerb,
    &kSnapshotVerifyVerb,
    &kSnapshotSelftestVerb,
    &kDoctorVerb,
};

}  // namespace stasis::cli
