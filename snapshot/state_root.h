#pragma once

#include <string>

namespace stasis::snapshot {

/// Folder of VMs and snapshots: $STASIS_ROOT, else /var/lib/stasis for root, else
/// $XDG_STATE_HOME/stasis, else ~/.local/state/stasis. It need not exist.
std::string state_root();

}  // namespace stasis::snapshot
