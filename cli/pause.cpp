#include "cli/management_verb.h"
#include "cli/power.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kPauseNotes =
    "Processors and devices stop where they are; memory stays. Go on with resume.\n"
    "\nExamples:\n"
    "  stasis pause web1\n";

base::Result<std::string> pause(const CommandLine& line) {
  auto session = TRY(session_of_running(vm_name(line)));
  TRY(session.client().pause());
  return done_text(line, "paused");
}

ExitCode run_pause(const CommandLine& line) {
  return finish_verb("pause", pause(line));
}

}  // namespace

const Verb kPauseVerb = {"pause",   "Freezes a machine.", kJsonOptions, kPauseNotes,
                         run_pause, kVmArgument};

}  // namespace stasis::cli
