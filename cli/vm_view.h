#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "snapshot/vm_control.h"
#include "snapshot/vm_directory.h"

namespace stasis::cli {

/// One machine, as people and programs are shown it, whether it has a process or not.
struct VmView {
  std::string name;
  std::string state;  ///< "off", "running", "paused", "saved", "starting", "stopping", "crashed"
  snapshot::VmInfo info;
  pid_t pid = 0;                                ///< 0: no process
  std::optional<snapshot::RunRecord> last_run;  ///< also the present one
};

/// Asks the machine's process, or reads its files when it has none. One that does not answer in two
/// seconds is shown by its files, as "silent".
base::Result<VmView> view_machine(const std::string& name);

/// Its snapshots, oldest first, by the same ways. Those that cannot be read are warnings.
base::Result<std::vector<snapshot::SnapshotInfo>> view_snapshots(const std::string& name);

}  // namespace stasis::cli
