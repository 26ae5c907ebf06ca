#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/snapshot_options.h"
#include "snapshot/names.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kSnapshotRenameOptions[] = {
    {"notes", "TEXT", "Replaces its notes, too."},
    kJsonOption,
};

constexpr ArgumentSpec kSnapshotRenameArguments[] = {{"VM"}, {"SNAP"}, {"NAME"}};

constexpr std::string_view kSnapshotRenameNotes =
    "\nExamples:\n"
    "  stasis snapshot rename web1 clean \"before the upgrade\"\n";

base::Result<std::string> rename(const CommandLine& line) {
  const std::string& name = *line.argument("NAME");
  TRY(snapshot::check_snapshot_name(name));
  auto target = TRY(snapshot_target(line));
  const std::string* notes = line.value("notes");
  target.snapshot.name = name;
  if (notes != nullptr) target.snapshot.notes = *notes;
  TRY(target.session.client().rename_snapshot(target.snapshot.id, name, target.snapshot.notes));
  if (!line.has("json")) return "";
  return json_record({{"machine", vm_name(line)}, {"snapshot", snapshot_json(target.snapshot)}});
}

ExitCode run_snapshot_rename(const CommandLine& line) {
  return finish_verb("snapshot rename", rename(line));
}

}  // namespace

const Verb kSnapshotRenameVerb = {"snapshot rename",      "Gives a snapshot another name.",
                                  kSnapshotRenameOptions, kSnapshotRenameNotes,
                                  run_snapshot_rename,    kSnapshotRenameArguments};

}  // namespace stasis::cli
