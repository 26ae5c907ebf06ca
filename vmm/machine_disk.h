#pragma once

#include <string>

#include "devices/block/layered_disk.h"

namespace stasis::vmm {

/// One disk of a machine, for whoever switches its layers. Lives as long as the machine.
struct MachineDisk {
  std::string id;  ///< as in the configuration, or "disk0", "disk1", ...
  bool read_only = false;
  devices::LayeredDisk* disk = nullptr;
};

}  // namespace stasis::vmm
