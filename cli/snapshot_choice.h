#pragma once

#include <string_view>
#include <vector>

#include "base/result.h"
#include "snapshot/vm_control.h"

namespace stasis::cli {

/// The one snapshot that `word` names: by its id, its name, or the beginning of its id (four digits
/// or more). kNotFound; kInvalidArgument when several have the name.
base::Result<snapshot::SnapshotInfo> choose_snapshot(
    const std::vector<snapshot::SnapshotInfo>& snapshots, std::string_view word);

/// One line a snapshot, or with `as_tree` each below its parent; `current` is marked.
std::string snapshots_text(const std::vector<snapshot::SnapshotInfo>& snapshots, bool as_tree,
                           std::string_view current);

/// "fork, paused 1.2 ms, 120 MiB captured, 80 MiB stored, 194 ms": what a capture cost.
std::string capture_text(const snapshot::CaptureReport& capture);

}  // namespace stasis::cli
