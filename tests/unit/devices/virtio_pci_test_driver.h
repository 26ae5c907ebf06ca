#pragma once

#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>

#include "devices/virtio/virtio_pci.h"
#include "tests/unit/devices/virtio_test_driver.h"

namespace stasis::devices::testing {

inline constexpr std::uint64_t kTransportFeatures = std::uint64_t{1} << VIRTIO_F_VERSION_1 |
                                                    std::uint64_t{1} << VIRTIO_RING_F_EVENT_IDX |
                                                    std::uint64_t{1} << VIRTIO_RING_F_INDIRECT_DESC;

/// A driver of a virtio-pci function: finds the structures by their capabilities, as Linux does,
/// and goes through section 3.1.1. Rings live in a TestRam.
class PciDriver {
 public:
  static constexpr std::uint64_t kBar = 0xC000'0000;

  PciDriver(PciFunction& function, TestRam& ram) : function_(&function), ram_(&ram) {
    function.write_config({PCI_BASE_ADDRESS_0, 4}, kBar);
    function.write_config({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
    find_capabilities();
  }

  /// The same driver in a machine that was restored: `function` is the new one.
  void moved_to(PciFunction& function) { function_ = &function; }

  std::uint8_t capability(std::uint8_t type) const { return capabilities_.at(type); }
  std::uint32_t offset_of(std::uint8_t type) const {
    return std::uint32_t(config(capability(type) + VIRTIO_PCI_CAP_OFFSET, 4));
  }
  std::uint8_t msix_capability() const { return msix_; }

  std::uint64_t config(unsigned offset, unsigned width) const {
    return function_->read_config({offset, width});
  }
  std::uint64_t common(unsigned offset, unsigned width) const {
    return function_->read_bar(0, {offset_of(VIRTIO_PCI_CAP_COMMON_CFG) + offset, width});
  }
  void set_common(unsigned offset, unsigned width, std::uint64_t value) {
    function_->write_bar(0, {offset_of(VIRTIO_PCI_CAP_COMMON_CFG) + offset, width}, value);
  }
  std::uint8_t status() const { return std::uint8_t(common(VIRTIO_PCI_COMMON_STATUS, 1)); }
  void set_status(unsigned bits) { set_common(VIRTIO_PCI_COMMON_STATUS, 1, bits); }
  void add_status(unsigned bits) { set_status(status() | bits); }

  std::uint64_t device_features() {
    set_common(VIRTIO_PCI_COMMON_DFSELECT, 4, 1);
    const std::uint64_t high = common(VIRTIO_PCI_COMMON_DF, 4);
    set_common(VIRTIO_PCI_COMMON_DFSELECT, 4, 0);
    return high << 32 | common(VIRTIO_PCI_COMMON_DF, 4);
  }
  void set_driver_features(std::uint64_t features) {
    set_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    set_common(VIRTIO_PCI_COMMON_GF, 4, features & 0xFFFFFFFF);
    set_common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    set_common(VIRTIO_PCI_COMMON_GF, 4, features >> 32);
  }

  /// Up to FEATURES_OK; whether the device accepted.
  bool negotiate(std::uint64_t features) {
    set_status(0);
    add_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
    add_status(VIRTIO_CONFIG_S_DRIVER);
    set_driver_features(features);
    add_status(VIRTIO_CONFIG_S_FEATURES_OK);
    return (status() & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
  }

  /// Lays out queue `index` and enables it; whether that worked. Uses vector `index` + 1.
  bool set_up_queue(unsigned index, std::uint16_t size = 8) {
    queues_.insert_or_assign(index, DriverQueue(*ram_, size));
    const VirtQueueState rings = queues_.at(index).state();
    set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
    set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    set_common(VIRTIO_PCI_COMMON_Q_MSIX, 2, index + 1);
    set_common(VIRTIO_PCI_COMMON_Q_DESCLO, 4, rings.descriptor_table & 0xFFFFFFFF);
    set_common(VIRTIO_PCI_COMMON_Q_DESCHI, 4, rings.descriptor_table >> 32);
    set_common(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, rings.available_ring);
    set_common(VIRTIO_PCI_COMMON_Q_USEDLO, 8, rings.used_ring);
    set_common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    return common(VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 1;
  }

  /// Enables MSI-X and unmasks all vectors, with distinguishable messages.
  void set_up_interrupts(unsigned vectors) {
    for (unsigned i = 0; i < vectors; ++i) {
      write_vector(i, PCI_MSIX_ENTRY_LOWER_ADDR, 0xFEE00000);
      write_vector(i, PCI_MSIX_ENTRY_DATA, 0x40 + i);
      write_vector(i, PCI_MSIX_ENTRY_VECTOR_CTRL, 0);
    }
    function_->write_config({msix_ + 2ULL, 2}, PCI_MSIX_FLAGS_ENABLE);
    set_common(VIRTIO_PCI_COMMON_MSIX, 2, 0);
  }
  void write_vector(unsigned vector, unsigned field, std::uint32_t value) {
    const auto table = config(msix_ + PCI_MSIX_TABLE, 4) & PCI_MSIX_TABLE_OFFSET;
    function_->write_bar(0, {table + vector * 16ULL + field, 4}, value);
  }

  /// Everything: negotiate, interrupts, the first `queues` queues, DRIVER_OK.
  void bring_up(unsigned queues, std::uint64_t features = kTransportFeatures) {
    REQUIRE(negotiate(features));
    set_up_interrupts(queues + 1);
    for (unsigned i = 0; i < queues; ++i) REQUIRE(set_up_queue(i));
    add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  }

  DriverQueue& queue(unsigned index) { return queues_.at(index); }
  std::uint32_t notify_offset(unsigned index) {
    set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, index);
    const auto stride =
        config(capability(VIRTIO_PCI_CAP_NOTIFY_CFG) + VIRTIO_PCI_NOTIFY_CAP_MULT, 4);
    return offset_of(VIRTIO_PCI_CAP_NOTIFY_CFG) +
           std::uint32_t(common(VIRTIO_PCI_COMMON_Q_NOFF, 2) * stride);
  }
  void kick(unsigned index) { function_->write_bar(0, {notify_offset(index), 2}, index); }

 private:
  void find_capabilities() {
    unsigned at = unsigned(config(PCI_CAPABILITY_LIST, 1));
    for (unsigned seen = 0; at != 0; ++seen, at = unsigned(config(at + 1, 1))) {
      REQUIRE(seen < 48);
      const auto id = config(at, 1);
      if (id == PCI_CAP_ID_MSIX) msix_ = std::uint8_t(at);
      if (id == PCI_CAP_ID_VNDR) {
        capabilities_[std::uint8_t(config(at + VIRTIO_PCI_CAP_CFG_TYPE, 1))] = std::uint8_t(at);
      }
    }
  }

  PciFunction* function_;
  TestRam* ram_;
  std::map<std::uint8_t, std::uint8_t> capabilities_;
  std::uint8_t msix_ = 0;
  std::map<unsigned, DriverQueue> queues_;
};

}  // namespace stasis::devices::testing
