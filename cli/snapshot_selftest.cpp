#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/power.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kSnapshotSelftestNotes =
    "Saves the running machine's state, restores it elsewhere, saves that, and compares\n"
    "every section. The machine is not harmed.\n"
    "\nExamples:\n"
    "  stasis snapshot selftest web1\n";

base::Result<std::string> selftest(const CommandLine& line) {
  auto session = TRY(session_of_running(vm_name(line)));
  const std::string compared = TRY(session.client().selftest());
  if (!line.has("json")) return compared + '\n';
  return json_record({{"machine", vm_name(line)}, {"passed", true}, {"compared", compared}});
}

ExitCode run_snapshot_selftest(const CommandLine& line) {
  return finish_verb("snapshot selftest", selftest(line));
}

}  // namespace

const Verb kSnapshotSelftestVerb = {
    "snapshot selftest",   "Proves that a machine's state can be restored.",
    kJsonOptions,          kSnapshotSelftestNotes,
    run_snapshot_selftest, kVmArgument};

}  // namespace stasis::cli
