#include "devices/pci/msix_table.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

namespace stasis::devices {

namespace {

std::uint32_t field(const MsixEntryState& entry, std::uint64_t offset) {
  switch (offset) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
      return static_cast<std::uint32_t>(entry.address);
    case PCI_MSIX_ENTRY_UPPER_ADDR:
      return static_cast<std::uint32_t>(entry.address >> 32);
    case PCI_MSIX_ENTRY_DATA:
      return entry.data;
    default:
      return entry.masked ? PCI_MSIX_ENTRY_CTRL_MASKBIT : 0;
  }
}

void set_field(MsixEntryState& entry, std::uint64_t offset, std::uint32_t value) {
  switch (offset) {
    case PCI_MSIX_ENTRY_LOWER_ADDR:
      entry.address = (entry.address >> 32 << 32) | (value & ~3U);  // dword aligned
      return;
    case PCI_MSIX_ENTRY_UPPER_ADDR:
      entry.address = std::uint64_t{value} << 32 | static_cast<std::uint32_t>(entry.address);
      return;
    case PCI_MSIX_ENTRY_DATA:
      entry.data = value;
      return;
    default:
      entry.masked = (value & PCI_MSIX_ENTRY_CTRL_MASKBIT) != 0;
  }
}

}  // namespace

base::Result<std::unique_ptr<MsixTable>> MsixTable::create(MsiVectors& vectors, unsigned count,
                                                           State state, bool bus_master) {
  if (state.entries.empty()) state.entries.resize(count);
  if (state.entries.size() != count) {
    return base::fail(base::ErrorKind::kCorrupt,
                      fmt::format("msix: state has {} vectors, this device {}; restore it with the "
                                  "configuration it was saved with",
                                  state.entries.size(), count));
  }
  std::vector<std::unique_ptr<MsiVector>> made;
  for (unsigned i = 0; i < count; ++i) made.push_back(TRY(vectors.make_vector()));
  return std::unique_ptr<MsixTable>(new MsixTable(std::move(made), std::move(state), bus_master));
}

MsixTable::MsixTable(std::vector<std::unique_ptr<MsiVector>> vectors, State state, bool bus_master)
    : state_(std::move(state)),
      bus_master_(bus_master),
      vectors_(std::move(vectors)),
      routed_(vectors_.size()) {
  // Routes are not part of what KVM saves (they are ours to rebuild).
  for (unsigned i = 0; i < count(); ++i) {
    if (can_send(i)) update(i);
  }
}

bool MsixTable::can_send(unsigned vector) const {
  return state_.enabled && !state_.function_masked && !state_.entries[vector].masked && bus_master_;
}

/// After any change: an entry that can send is routed as the table says and rid of its pending bit.
void MsixTable::update(unsigned vector) {
  if (!can_send(vector)) return;
  MsixEntryState& entry = state_.entries[vector];
  const MsiMessage message{entry.address, entry.data};
  // Routing is dear and drivers mask and unmask a lot: only for a message that is really new.
  if (routed_[vector] != message) {
    vectors_[vector]->route(message);
    routed_[vector] = message;
  }
  if (!entry.pending) return;
  entry.pending = false;
  vectors_[vector]->signal();
}

void MsixTable::update_all() {
  for (unsigned i = 0; i < count(); ++i) update(i);
}

void MsixTable::signal(unsigned vector) {
  const std::lock_guard lock(mutex_);
  if (vector >= count() || !state_.enabled) return;
  state_.entries[vector].pending = true;
  update(vector);
}

void MsixTable::repeat(unsigned vector) {
  const std::lock_guard lock(mutex_);
  if (vector < count() && can_send(vector)) vectors_[vector]->signal();
}

std::uint16_t MsixTable::control() const {
  const std::lock_guard lock(mutex_);
  return static_cast<std::uint16_t>((count() - 1) | (state_.enabled ? PCI_MSIX_FLAGS_ENABLE : 0) |
                                    (state_.function_masked ? PCI_MSIX_FLAGS_MASKALL : 0));
}

void MsixTable::set_control(std::uint16_t value) {
  const std::lock_guard lock(mutex_);
  state_.enabled = (value & PCI_MSIX_FLAGS_ENABLE) != 0;
  state_.function_masked = (value & PCI_MSIX_FLAGS_MASKALL) != 0;
  update_all();
}

bool MsixTable::is_enabled() const {
  const std::lock_guard lock(mutex_);
  return state_.enabled;
}

void MsixTable::set_bus_master(bool allowed) {
  const std::lock_guard lock(mutex_);
  bus_master_ = allowed;
  update_all();
}

std::uint64_t MsixTable::read_table(IoAccess access) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t value = 0;
  for (unsigned i = 0; i < access.width; ++i) {
    const std::uint64_t at = access.offset + i;
    const std::uint64_t vector = at / kEntrySize;
    if (vector >= count()) break;
    const std::uint32_t dword = field(state_.entries[vector], at % kEntrySize / 4 * 4);
    value |= std::uint64_t{dword >> (8 * (at % 4)) & 0xFF} << (8 * i);
  }
  return value;
}

void MsixTable::write_table(IoAccess access, std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  const std::uint64_t end = access.offset + access.width;
  for (std::uint64_t dword = access.offset / 4; dword < (end + 3) / 4; ++dword) {
    const std::uint64_t vector = dword * 4 / kEntrySize;
    if (vector >= count()) break;
    MsixEntryState& entry = state_.entries[vector];
    std::uint32_t merged = field(entry, dword * 4 % kEntrySize);
    for (unsigned i = 0; i < 4; ++i) {
      const std::uint64_t at = dword * 4 + i;
      if (at < access.offset || at >= end) continue;
      const auto byte = static_cast<std::uint32_t>(value >> (8 * (at - access.offset)) & 0xFF);
      merged = (merged & ~(0xFFU << (8 * i))) | byte << (8 * i);
    }
    set_field(entry, dword * 4 % kEntrySize, merged);
  }
  // Only now: no route to an address of which half is written.
  for (auto vector = access.offset / kEntrySize; vector <= (end - 1) / kEntrySize; ++vector) {
    if (vector < count()) update(static_cast<unsigned>(vector));
  }
}

std::uint64_t MsixTable::read_pending(IoAccess access) const {
  const std::lock_guard lock(mutex_);
  std::uint64_t value = 0;
  for (unsigned bit = 0; bit < 8 * access.width; ++bit) {
    const std::uint64_t vector = access.offset * 8 + bit;
    if (vector >= count()) break;
    value |= std::uint64_t{state_.entries[vector].pending} << bit;
  }
  return value;
}

MsixTable::State MsixTable::save() const {
  const std::lock_guard lock(mutex_);
  return state_;
}

}  // namespace stasis::devices
