#include <fmt/format.h>

#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/snapshot_choice.h"
#include "cli/snapshot_options.h"
#include "cli/time_text.h"

namespace stasis::cli {
namespace {

constexpr std::string_view kSnapshotShowNotes =
    "\nExamples:\n"
    "  stasis snapshot show web1 clean\n"
    "  stasis snapshot show web1 0B5C --json\n";

std::string text_of(const snapshot::SnapshotInfo& one) {
  std::string text;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (!value.empty()) text += fmt::format("{:9} {}\n", key, value);
  };
  const bool is_full = one.kind == snapshot::SnapshotKind::kFull;
  add("name", one.name);
  add("id", one.id);
  add("parent", one.parent);
  add("created", local_text(one.created_unix_us));
  add("type", !is_full ? "disk" : one.has_memory ? "full" : "full, of a machine that was off");
  add("cost", capture_text(one.capture));
  add("notes", one.notes);
  return text;
}

base::Result<std::string> show(const CommandLine& line) {
  const auto one = TRY(named_snapshot(line));
  if (!line.has("json")) return text_of(one);
  return json_record({{"machine", vm_name(line)}, {"snapshot", snapshot_json(one)}});
}

ExitCode run_snapshot_show(const CommandLine& line) {
  return finish_verb("snapshot show", show(line));
}

}  // namespace

const Verb kSnapshotShowVerb = {"snapshot show",    "Shows one snapshot.", kJsonOptions,
                                kSnapshotShowNotes, run_snapshot_show,     kVmAndSnapshotArguments};

}  // namespace stasis::cli
