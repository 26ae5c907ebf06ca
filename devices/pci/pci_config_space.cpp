#include "devices/pci/pci_config_space.h"

#include <linux/pci_regs.h>

#include <bit>

#include "base/check.h"

namespace stasis::devices {

namespace {
constexpr unsigned kCommandWritable =
    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE;
constexpr std::uint32_t kClassShift = 8;  // the class code shares its dword with the revision
}  // namespace

PciConfigSpace::PciConfigSpace(const PciIdentity& identity, State state)
    : next_capability_(PCI_STD_HEADER_SIZEOF), last_pointer_(PCI_CAPABILITY_LIST), state_(state) {
  set_fixed(PCI_VENDOR_ID, identity.vendor, 2);
  set_fixed(PCI_DEVICE_ID, identity.device, 2);
  set_fixed(PCI_CLASS_REVISION, identity.class_code << kClassShift | identity.revision, 4);
  set_fixed(PCI_SUBSYSTEM_VENDOR_ID, identity.subsystem_vendor, 2);
  set_fixed(PCI_SUBSYSTEM_ID, identity.subsystem, 2);
  set_writable(PCI_COMMAND, kCommandWritable, 2);
  set_writable(PCI_CACHE_LINE_SIZE, 0xFF, 1);
  set_writable(PCI_INTERRUPT_LINE, 0xFF, 1);
}

void PciConfigSpace::set_fixed(unsigned offset, std::uint64_t value, unsigned width) {
  for (unsigned i = 0; i < width; ++i) {
    fixed_.at(offset + i) = static_cast<std::uint8_t>(value >> (8 * i));
  }
}

void PciConfigSpace::set_writable(unsigned offset, std::uint64_t mask, unsigned width) {
  for (unsigned i = 0; i < width; ++i) {
    mask_.at(offset + i) = static_cast<std::uint8_t>(mask >> (8 * i));
  }
}

void PciConfigSpace::add_bar(PciBar bar) {
  STASIS_CHECK(bar.index < PCI_STD_NUM_BARS && std::has_single_bit(bar.size) && bar.size >= 16);
  // Address bits below the size stay zero: that is how software finds the size (section 6.2.5.1).
  set_writable(PCI_BASE_ADDRESS_0 + 4 * bar.index, ~(bar.size - 1), 4);
  bars_.push_back(bar);
}

std::uint8_t PciConfigSpace::add_capability(std::uint8_t id, std::span<const std::uint8_t> body,
                                            std::span<const std::uint8_t> writable) {
  const unsigned offset = next_capability_;
  const auto size = static_cast<unsigned>(PCI_CAP_SIZEOF - 2 + body.size());
  STASIS_CHECK(offset + size <= kPciConfigSize && writable.size() <= body.size());
  set_fixed(PCI_STATUS, PCI_STATUS_CAP_LIST, 2);
  set_fixed(last_pointer_, offset, 1);
  set_fixed(offset + PCI_CAP_LIST_ID, id, 1);
  last_pointer_ = offset + PCI_CAP_LIST_NEXT;
  next_capability_ = (offset + size + 3) / 4 * 4;
  for (unsigned i = 0; i < body.size(); ++i) fixed_[offset + 2 + i] = body[i];
  for (unsigned i = 0; i < writable.size(); ++i) mask_[offset + 2 + i] = writable[i];
  return static_cast<std::uint8_t>(offset);
}

std::uint64_t PciConfigSpace::read(IoAccess access) const {
  if (access.offset >= kPciConfigSize || access.width > kPciConfigSize - access.offset) {
    return all_ones(access.width);
  }
  std::uint64_t value = 0;
  for (unsigned i = 0; i < access.width; ++i) {
    const std::size_t at = access.offset + i;
    const unsigned byte = (fixed_[at] & ~mask_[at]) | (state_.written[at] & mask_[at]);
    value |= std::uint64_t{byte} << (8 * i);
  }
  return value;
}

void PciConfigSpace::write(IoAccess access, std::uint64_t value) {
  if (access.offset >= kPciConfigSize || access.width > kPciConfigSize - access.offset) return;
  for (unsigned i = 0; i < access.width; ++i) {
    const std::size_t at = access.offset + i;
    const auto byte = static_cast<std::uint8_t>(value >> (8 * i));
    state_.written[at] = byte & mask_[at];
  }
}

bool PciConfigSpace::memory_enabled() const {
  return (read({PCI_COMMAND, 2}) & PCI_COMMAND_MEMORY) != 0;
}

bool PciConfigSpace::bus_master() const {
  return (read({PCI_COMMAND, 2}) & PCI_COMMAND_MASTER) != 0;
}

std::optional<std::uint64_t> PciConfigSpace::bar_address(unsigned index) const {
  if (!memory_enabled()) return std::nullopt;
  return dword(PCI_BASE_ADDRESS_0 + 4 * index) &
         static_cast<std::uint32_t>(PCI_BASE_ADDRESS_MEM_MASK);
}

PciConfigSpace::State PciConfigSpace::save() const {
  State saved = state_;
  for (std::size_t i = 0; i < kPciConfigSize; ++i) saved.written[i] &= mask_[i];
  return saved;
}

}  // namespace stasis::devices
