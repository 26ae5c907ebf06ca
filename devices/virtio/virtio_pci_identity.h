#pragma once

#include <cstdint>

#include "devices/pci/pci_config_space.h"

namespace stasis::devices {

/// Who a virtio-pci function of this device type (VIRTIO_ID_*) says it is (virtio 1.2, section
/// 4.1.2).
PciIdentity virtio_pci_identity(std::uint16_t device_type);

/// Where two capabilities are that need more than fixed bytes.
struct VirtioPciCapabilities {
  std::uint8_t msix = 0;
  std::uint8_t indirect = 0;  ///< VIRTIO_PCI_CAP_PCI_CFG
};

/// Puts BAR 0 and all capabilities into a configuration space. The order is part of the layout,
/// so the result depends on the number of queues alone.
VirtioPciCapabilities add_virtio_pci_capabilities(PciConfigSpace& config, unsigned queue_count);

/// The same offsets, for a space that was built so.
VirtioPciCapabilities virtio_pci_capabilities();

}  // namespace stasis::devices
