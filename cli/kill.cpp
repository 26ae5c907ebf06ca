#include "cli/management_verb.h"
#include "cli/power.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kKillNotes =
    "The guest is not asked: to it this is a power cut. A saved machine loses the\n"
    "memory it would have gone on with. A process that does not answer is killed.\n"
    "\nExamples:\n"
    "  stasis kill web1\n";

ExitCode run_kill(const CommandLine& line) {
  const base::Status status = kill_machine(vm_name(line));
  if (!status) return say_failure("kill", status.error());
  return print_result(done_text(line, "off"));
}

}  // namespace

const Verb kKillVerb = {"kill",     "Pulls a machine's plug.", kJsonOptions, kKillNotes, run_kill,
                        kVmArgument};

}  // namespace stasis::cli
