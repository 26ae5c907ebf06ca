#include "cli/management_verb.h"
#include "cli/power.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kResumeNotes =
    "\nExamples:\n"
    "  stasis resume web1\n";

base::Result<std::string> resume(const CommandLine& line) {
  auto session = TRY(session_of_running(vm_name(line)));
  TRY(session.client().resume());
  return done_text(line, "running");
}

ExitCode run_resume(const CommandLine& line) {
  return finish_verb("resume", resume(line));
}

}  // namespace

const Verb kResumeVerb = {
    "resume", "Lets a paused machine go on.", kJsonOptions, kResumeNotes, run_resume, kVmArgument};

}  // namespace stasis::cli
