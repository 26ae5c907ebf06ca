#pragma once

#include "base/result.h"
#include "cli/command_line.h"
#include "cli/vm_session.h"
#include "cli/vm_view.h"
#include "snapshot/vm_control.h"

namespace stasis::cli {

/// Options of the verbs that start from a snapshot.
inline constexpr OptionSpec kClockOption = {
    "clock", "catch-up|freeze",
    "The guest's clock: the time since the snapshot has passed,\n"
    "or has not. Default: catch-up."};
inline constexpr OptionSpec kSameGenerationOption = {
    "same-generation", "", "Does not tell the guest that it is a copy (VM generation ID)."};

base::Result<snapshot::ApplyOptions> apply_options_of(const CommandLine& line);

/// The snapshot that a verb's argument SNAP names.
base::Result<snapshot::SnapshotInfo> named_snapshot(const CommandLine& line);

/// A machine's process and the snapshot that the line names.
struct SnapshotTarget {
  VmSession session;
  snapshot::SnapshotInfo snapshot;
};
base::Result<SnapshotTarget> snapshot_target(const CommandLine& line);

}  // namespace stasis::cli
