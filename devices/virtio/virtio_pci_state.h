#pragma once

#include <cstdint>
#include <string_view>

#include "devices/pci/msix_table.h"
#include "devices/pci/pci_config_space.h"
#include "devices/virtio/virtio_pci_registers.h"

namespace stasis::devices {

/// All that a guest can see of a virtio-pci function, less the device part, which saves itself.
struct VirtioPciState {
  static constexpr std::string_view kName = "virtio-pci";
  static constexpr std::uint32_t kVersion = 1;
  PciConfigState config;
  MsixState msix;
  VirtioPciRegistersState registers;
  bool operator==(const VirtioPciState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [space, table, regs] = self;
    fields("config", space)("msix", table)("registers", regs);
  }
};

}  // namespace stasis::devices
