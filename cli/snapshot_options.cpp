#include "cli/snapshot_options.h"

#include <fmt/format.h>

#include "cli/management_verb.h"
#include "cli/snapshot_choice.h"
#include "cli/spelling.h"

namespace stasis::cli {

using base::Result;

Result<snapshot::ApplyOptions> apply_options_of(const CommandLine& line) {
  snapshot::ApplyOptions options;
  options.new_generation = !line.has("same-generation");
  const std::string* clock = line.value("clock");
  if (clock == nullptr || *clock == "catch-up") return options;
  if (*clock != "freeze") {
    const std::string_view words[] = {"catch-up", "freeze"};
    return base::fail(
        base::ErrorKind::kInvalidArgument,
        fmt::format("--clock: \"{}\": unknown{}", *clock, spelling_hint(*clock, words)));
  }
  options.clock = snapshot::ClockPolicy::kFreeze;
  return options;
}

Result<snapshot::SnapshotInfo> named_snapshot(const CommandLine& line) {
  return choose_snapshot(TRY(view_snapshots(vm_name(line))), *line.argument("SNAP"));
}

Result<SnapshotTarget> snapshot_target(const CommandLine& line) {
  auto info = TRY(named_snapshot(line));  // before a machine that is off gets a process
  auto session = TRY(VmSession::open(vm_name(line)));
  return SnapshotTarget{std::move(session), std::move(info)};
}

}  // namespace stasis::cli
