#include <fmt/format.h>

#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/progress.h"
#include "cli/snapshot_options.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kSnapshotVerifyNotes =
    "Reads every byte and compares checksums. Ends with 9 when something is damaged,\n"
    "and names file and place.\n"
    "\nExamples:\n"
    "  stasis snapshot verify web1 clean\n";

base::Result<std::string> verify(const CommandLine& line) {
  auto target = TRY(snapshot_target(line));
  Progress progress = TRY(Progress::begin("verifying"));
  TRY(target.session.client().verify_snapshot(target.snapshot.id, progress));
  if (!line.has("json")) {
    return fmt::format("{}  {}: every byte is as it was written\n", target.snapshot.id,
                       target.snapshot.name);
  }
  return json_record({{"machine", vm_name(line)},
                      {"snapshot", snapshot_json(target.snapshot)},
                      {"verified", true}});
}

ExitCode run_snapshot_verify(const CommandLine& line) {
  return finish_verb("snapshot verify", verify(line));
}

}  // namespace

const Verb kSnapshotVerifyVerb = {"snapshot verify",   "Checks a snapshot against its checksums.",
                                  kJsonOptions,        kSnapshotVerifyNotes,
                                  run_snapshot_verify, kVmAndSnapshotArguments};

}  // namespace stasis::cli
