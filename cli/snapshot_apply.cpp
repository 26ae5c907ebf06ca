#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/progress.h"
#include "cli/snapshot_options.h"

namespace stasis::cli {
namespace {

constexpr OptionSpec kSnapshotApplyOptions[] = {
    kClockOption,
    kSameGenerationOption,
    kJsonOption,
};

constexpr std::string_view kSnapshotApplyNotes =
    "The machine's present is lost: make a snapshot of it first if it is worth something.\n"
    "One that runs goes on from the snapshot in place, or is off after one without memory;\n"
    "one that is off is saved, and goes on from it at its start. When anything fails the\n"
    "old present goes on.\n"
    "\nExamples:\n"
    "  stasis snapshot apply web1 clean\n"
    "  stasis snapshot apply web1 clean --clock freeze\n";

base::Result<std::string> apply(const CommandLine& line) {
  const auto options = TRY(apply_options_of(line));
  auto target = TRY(snapshot_target(line));
  Progress progress = TRY(Progress::begin("applying the snapshot"));
  TRY(target.session.client().apply_snapshot(target.snapshot.id, options, progress));
  if (!line.has("json")) return "";
  const auto info = TRY(target.session.client().info());
  return json_record({{"machine", vm_name(line)},
                      {"state", snapshot::word_for(info.state)},
                      {"snapshot", snapshot_json(target.snapshot)}});
}

ExitCode run_snapshot_apply(const CommandLine& line) {
  return finish_verb("snapshot apply", apply(line));
}

}  // namespace

const Verb kSnapshotApplyVerb = {"snapshot apply",      "Goes back to a snapshot.",
                                 kSnapshotApplyOptions, kSnapshotApplyNotes,
                                 run_snapshot_apply,    kVmAndSnapshotArguments};

}  // namespace stasis::cli
