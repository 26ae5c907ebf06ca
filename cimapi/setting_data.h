#pragma once

#include <string>

#include "base/error.h"
#include "cimapi/names.h"
#include "cimapi/value.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// VirtualSystemSettingData of the machine as it is configured, and of a snapshot; and back, for
/// the client.
Instance current_setting_data(const snapshot::VmInfo& vm, Space space);
Instance snapshot_setting_data(const snapshot::SnapshotInfo& info, const snapshot::VmInfo& vm,
                               Space space);

bool is_snapshot(const Instance& setting_data);
snapshot::SnapshotInfo snapshot_info_of(const Instance& setting_data);
/// All of VmInfo but the state, `current` and `last_applied`.
snapshot::VmInfo vm_info_of(const Instance& setting_data);

/// "busy", "not-found": names of error kinds for the wire; an unknown name is kInternal.
std::string kind_name(base::ErrorKind kind);
base::ErrorKind kind_named(std::string_view name);

}  // namespace stasis::cimapi
