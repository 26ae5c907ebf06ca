#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "cli/vm_view.h"
#include "snapshot/vm_control.h"

namespace stasis::cli {

/// The number of the layout that docs/json.md describes; members may be added under one number.
inline constexpr int kJsonSchema = 1;

/// `members` with "schema" in front, as text with a line end. Bytes that are not UTF-8 are
/// replaced.
std::string json_record(const nlohmann::ordered_json& members);

nlohmann::ordered_json machine_json(const VmView& view);
nlohmann::ordered_json snapshot_json(const snapshot::SnapshotInfo& snapshot);

}  // namespace stasis::cli
