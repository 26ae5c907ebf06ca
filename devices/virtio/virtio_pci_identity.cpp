#include "devices/virtio/virtio_pci_identity.h"

#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>

#include <array>
#include <cstring>

#include "base/check.h"
#include "devices/virtio/virtio_pci.h"

namespace stasis::devices {

namespace {

constexpr std::uint16_t kVendor = 0x1AF4;      // section 4.1.2
constexpr std::uint16_t kDeviceBase = 0x1040;  // plus the device type
constexpr std::uint8_t kRevision = 1;          // 1 or higher: not transitional

// Base class and sub-class (PCI Code and ID Assignment 1.11).
constexpr std::uint32_t kMassStorageOther = 0x018000;
constexpr std::uint32_t kEthernet = 0x020000;
constexpr std::uint32_t kNetworkOther = 0x028000;
constexpr std::uint32_t kCommunicationOther = 0x078000;
constexpr std::uint32_t kUnclassified = 0xFF0000;

// struct virtio_pci_common_cfg and the fields that virtio 1.2 added, which read zero.
constexpr std::uint32_t kCommonLength = 64;
static_assert(sizeof(virtio_pci_common_cfg) <= kCommonLength);

// Where the capabilities come to lie: after the header, four of 16, 20, 16 and 16 bytes, ...
constexpr std::uint8_t kMsixAt = PCI_STD_HEADER_SIZEOF + 16 + 20 + 16 + 16;
constexpr std::uint8_t kIndirectAt = kMsixAt + PCI_CAP_MSIX_SIZEOF;

std::uint32_t class_code(std::uint16_t device_type) {
  switch (device_type) {
    case VIRTIO_ID_BLOCK:
      return kMassStorageOther;
    case VIRTIO_ID_NET:
      return kEthernet;
    case VIRTIO_ID_VSOCK:
      return kNetworkOther;
    case VIRTIO_ID_CONSOLE:
      return kCommunicationOther;
    default:
      return kUnclassified;
  }
}

/// A capability structure without its first two bytes, which belong to the list.
template <typename Capability>
auto body_of(const Capability& capability) {
  std::array<std::uint8_t, sizeof(Capability) - 2> body{};
  std::memcpy(body.data(), reinterpret_cast<const std::uint8_t*>(&capability) + 2, body.size());
  return body;
}

virtio_pci_cap structure(std::uint8_t type, std::uint32_t offset, std::uint32_t length,
                         std::size_t size) {
  virtio_pci_cap capability{};
  capability.cap_len = static_cast<std::uint8_t>(size);
  capability.cfg_type = type;
  capability.offset = offset;
  capability.length = length;
  return capability;
}

void add_structure(PciConfigSpace& config, std::uint8_t type, std::uint32_t offset,
                   std::uint32_t length) {
  config.add_capability(PCI_CAP_ID_VNDR,
                        body_of(structure(type, offset, length, sizeof(virtio_pci_cap))));
}

void add_notify(PciConfigSpace& config, unsigned queue_count) {
  const std::uint32_t length = queue_count * virtio_pci_layout::kNotifyStride;
  virtio_pci_notify_cap capability{};
  capability.cap =
      structure(VIRTIO_PCI_CAP_NOTIFY_CFG, virtio_pci_layout::kNotify, length, sizeof(capability));
  capability.notify_off_multiplier = virtio_pci_layout::kNotifyStride;
  config.add_capability(PCI_CAP_ID_VNDR, body_of(capability));
}

std::uint8_t add_msix(PciConfigSpace& config) {
  std::array<std::uint8_t, PCI_CAP_MSIX_SIZEOF - 2> body{};   // control comes from the table itself
  const std::uint32_t table = virtio_pci_layout::kMsixTable;  // low bits: BAR 0
  const std::uint32_t pending = virtio_pci_layout::kMsixPending;
  std::memcpy(&body[PCI_MSIX_TABLE - 2], &table, sizeof(table));
  std::memcpy(&body[PCI_MSIX_PBA - 2], &pending, sizeof(pending));
  return config.add_capability(PCI_CAP_ID_MSIX, body);
}

std::uint8_t add_indirect(PciConfigSpace& config) {
  virtio_pci_cfg_cap fixed{};
  fixed.cap = structure(VIRTIO_PCI_CAP_PCI_CFG, 0, 0, sizeof(fixed));
  virtio_pci_cfg_cap writable{};  // section 4.1.4.9: where to access is the driver's choice
  writable.cap.bar = 0xFF;
  writable.cap.offset = 0xFFFF'FFFF;
  writable.cap.length = 0xFFFF'FFFF;
  return config.add_capability(PCI_CAP_ID_VNDR, body_of(fixed), body_of(writable));
}

}  // namespace

PciIdentity virtio_pci_identity(std::uint16_t device_type) {
  const auto device = static_cast<std::uint16_t>(kDeviceBase + device_type);
  return {.vendor = kVendor,
          .device = device,
          .revision = kRevision,
          .class_code = class_code(device_type),
          .subsystem_vendor = kVendor,
          .subsystem = device};
}

VirtioPciCapabilities virtio_pci_capabilities() {
  return {kMsixAt, kIndirectAt};
}

VirtioPciCapabilities add_virtio_pci_capabilities(PciConfigSpace& config, unsigned queue_count) {
  constexpr std::uint32_t kPage = 0x1000;
  config.add_bar({0, virtio_pci_layout::kBarSize});
  add_structure(config, VIRTIO_PCI_CAP_COMMON_CFG, virtio_pci_layout::kCommon, kCommonLength);
  add_notify(config, queue_count);
  add_structure(config, VIRTIO_PCI_CAP_ISR_CFG, virtio_pci_layout::kIsr, 1);
  add_structure(config, VIRTIO_PCI_CAP_DEVICE_CFG, virtio_pci_layout::kDevice, kPage);
  const VirtioPciCapabilities made{add_msix(config), add_indirect(config)};
  STASIS_CHECK(made.msix == kMsixAt && made.indirect == kIndirectAt);
  return made;
}

}  // namespace stasis::devices
