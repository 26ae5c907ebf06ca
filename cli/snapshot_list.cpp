#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/snapshot_choice.h"
#include "cli/vm_view.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kSnapshotListOptions[] = {
    {"tree", "", "Each below the one that it was made on."},
    kJsonOption,
};

constexpr std::string_view kSnapshotListNotes =
    "Oldest first; the machine's present descends from the one marked by *.\n"
    "\nExamples:\n"
    "  stasis snapshot list web1 --tree\n"
    "  stasis snapshot list web1 --json | jq -r '.snapshots[].name'\n";

base::Result<std::string> list_snapshots(const CommandLine& line) {
  const auto snapshots = TRY(view_snapshots(vm_name(line)));
  const VmView view = TRY(view_machine(vm_name(line)));
  if (!line.has("json")) {
    return snapshots_text(snapshots, line.has("tree"), view.info.current);
  }
  nlohmann::ordered_json items = nlohmann::ordered_json::array();
  for (const auto& snapshot : snapshots) items.push_back(snapshot_json(snapshot));
  nlohmann::ordered_json current = nullptr;
  if (!view.info.current.empty()) current = view.info.current;
  return json_record({{"machine", vm_name(line)},
                      {"current", std::move(current)},
                      {"snapshots", std::move(items)}});
}

ExitCode run_snapshot_list(const CommandLine& line) {
  return finish_verb("snapshot list", list_snapshots(line));
}

}  // namespace

const Verb kSnapshotListVerb = {"snapshot list",      "Lists a machine's snapshots.",
                                kSnapshotListOptions, kSnapshotListNotes,
                                run_snapshot_list,    kVmArgument};

}  // namespace stasis::cli
