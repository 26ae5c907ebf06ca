#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/snapshot_options.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kSnapshotDeleteOptions[] = {
    {"tree", "", "With all that descend from it."},
    kJsonOption,
};

constexpr std::string_view kSnapshotDeleteNotes =
    "Its children stay, and become children of its parent.\n"
    "\nExamples:\n"
    "  stasis snapshot delete web1 clean\n"
    "  stasis snapshot delete web1 clean --tree\n";

base::Result<std::string> destroy(const CommandLine& line) {
  auto target = TRY(snapshot_target(line));
  const std::string& id = target.snapshot.id;
  if (line.has("tree")) {
    TRY(target.session.client().destroy_snapshot_tree(id));
  } else {
    TRY(target.session.client().destroy_snapshot(id));
  }
  if (!line.has("json")) return "";
  return json_record({{"machine", vm_name(line)}, {"deleted", id}, {"tree", line.has("tree")}});
}

ExitCode run_snapshot_delete(const CommandLine& line) {
  return finish_verb("snapshot delete", destroy(line));
}

}  // namespace

const Verb kSnapshotDeleteVerb = {"snapshot delete",      "Deletes a snapshot.",
                                  kSnapshotDeleteOptions, kSnapshotDeleteNotes,
                                  run_snapshot_delete,    kVmAndSnapshotArguments};

}  // namespace stasis::cli
