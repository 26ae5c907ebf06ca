#include "devices/virtio/virtio_pci_registers.h"

#include <fmt/format.h>
#include <linux/virtio_config.h>

#include <array>
#include <bit>

#define VIRTIO_RING_NO_LEGACY  // whose inline functions are C only
#include <linux/virtio_ring.h>

#include "base/log.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::devices {

namespace {

struct Field {
  unsigned offset;
  unsigned size;
};

// struct virtio_pci_common_cfg; what follows (queue_notify_data, queue_reset) is not offered.
constexpr std::array kFields{
    Field{VIRTIO_PCI_COMMON_DFSELECT, 4},  Field{VIRTIO_PCI_COMMON_DF, 4},
    Field{VIRTIO_PCI_COMMON_GFSELECT, 4},  Field{VIRTIO_PCI_COMMON_GF, 4},
    Field{VIRTIO_PCI_COMMON_MSIX, 2},      Field{VIRTIO_PCI_COMMON_NUMQ, 2},
    Field{VIRTIO_PCI_COMMON_STATUS, 1},    Field{VIRTIO_PCI_COMMON_CFGGENERATION, 1},
    Field{VIRTIO_PCI_COMMON_Q_SELECT, 2},  Field{VIRTIO_PCI_COMMON_Q_SIZE, 2},
    Field{VIRTIO_PCI_COMMON_Q_MSIX, 2},    Field{VIRTIO_PCI_COMMON_Q_ENABLE, 2},
    Field{VIRTIO_PCI_COMMON_Q_NOFF, 2},    Field{VIRTIO_PCI_COMMON_Q_DESCLO, 8},
    Field{VIRTIO_PCI_COMMON_Q_AVAILLO, 8}, Field{VIRTIO_PCI_COMMON_Q_USEDLO, 8},
};

// Section 6: bits 24 to 41 belong to queues and transport.
constexpr std::uint64_t kTransportBits = feature_bit(VIRTIO_TRANSPORT_F_END + 1) - feature_bit(24);

base::Status check_state(const VirtioPciRegisters::Facts& facts,
                         const VirtioPciRegistersState& state) {
  const auto refuse = [](std::string why) {
    why += "; restore it with the configuration it was saved with";
    return base::fail(base::ErrorKind::kCorrupt, std::move(why));
  };
  if (state.queues.size() != facts.queue_sizes.size()) {
    return refuse(fmt::format("state has {} queues, this device {}", state.queues.size(),
                              facts.queue_sizes.size()));
  }
  const bool accepted = (state.status & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
  if (accepted && (state.driver_features & ~facts.offered_features) != 0) {
    return refuse(fmt::format("state has features {:#x}, this device offers {:#x}",
                              state.driver_features, facts.offered_features));
  }
  for (std::size_t i = 0; i < state.queues.size(); ++i) {
    const std::uint16_t size = state.queues[i].queue.size;
    if (size > facts.queue_sizes[i] || !std::has_single_bit(size)) {
      return refuse(fmt::format("queue {} has {} entries in the state, this device allows {}", i,
                                size, facts.queue_sizes[i]));
    }
  }
  return {};
}

std::vector<VirtioPciQueueState> reset_queues(const VirtioPciRegisters::Facts& facts) {
  std::vector<VirtioPciQueueState> queues;
  for (const std::uint16_t size : facts.queue_sizes) queues.push_back({.queue = {.size = size}});
  return queues;
}

}  // namespace

std::uint64_t transport_features() {
  return feature_bit(VIRTIO_F_VERSION_1) | feature_bit(VIRTIO_RING_F_INDIRECT_DESC) |
         feature_bit(VIRTIO_RING_F_EVENT_IDX);
}

std::uint64_t offered_features(std::uint64_t device_features) {
  return (device_features & ~kTransportBits) | transport_features();
}

base::Result<VirtioPciRegisters> VirtioPciRegisters::create(Facts facts,
                                                            const base::GuestMemory& memory,
                                                            State state) {
  if (state.queues.empty()) state.queues = reset_queues(facts);
  TRY(check_state(facts, state));
  return VirtioPciRegisters(std::move(facts), memory, std::move(state));
}

VirtioPciRegisters::VirtioPciRegisters(Facts facts, const base::GuestMemory& memory, State state)
    : facts_(std::move(facts)), memory_(&memory), state_(std::move(state)) {}

void VirtioPciRegisters::reset() {
  state_ = State{};
  state_.queues = reset_queues(facts_);
}

bool VirtioPciRegisters::is_driver_ok() const {
  return (state_.status & VIRTIO_CONFIG_S_DRIVER_OK) != 0;
}

bool VirtioPciRegisters::event_index() const {
  return (state_.driver_features & feature_bit(VIRTIO_RING_F_EVENT_IDX)) != 0;
}

std::uint64_t VirtioPciRegisters::read(IoAccess access) const {
  std::uint64_t value = 0;
  for (const auto& [offset, size] : kFields) {
    if (offset + size <= access.offset || access.offset + access.width <= offset) continue;
    const std::uint64_t bits = field(offset);
    for (unsigned i = 0; i < size; ++i) {
      const std::uint64_t at = offset + i;
      if (at < access.offset || at >= access.offset + access.width) continue;
      value |= (bits >> (8 * i) & 0xFF) << (8 * (at - access.offset));
    }
  }
  return value;
}

std::optional<std::uint8_t> VirtioPciRegisters::write(IoAccess access, std::uint64_t value) {
  std::optional<std::uint8_t> status;
  for (const auto& [offset, size] : kFields) {
    if (offset + size <= access.offset || access.offset + access.width <= offset) continue;
    std::uint64_t merged = field(offset);  // a write may cover a part of it
    for (unsigned i = 0; i < size; ++i) {
      const std::uint64_t at = offset + i;
      if (at < access.offset || at >= access.offset + access.width) continue;
      const std::uint64_t byte = value >> (8 * (at - access.offset)) & 0xFF;
      merged = (merged & ~(std::uint64_t{0xFF} << (8 * i))) | byte << (8 * i);
    }
    if (offset == VIRTIO_PCI_COMMON_STATUS) {
      status = static_cast<std::uint8_t>(merged);
    } else {
      set_field(offset, merged);
    }
  }
  return status;
}

std::uint64_t VirtioPciRegisters::field(unsigned offset) const {
  const auto half = [](std::uint64_t features, std::uint32_t select) {
    return select < 2 ? features >> (32 * select) & 0xFFFF'FFFF : 0;
  };
  switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
      return state_.device_feature_select;
    case VIRTIO_PCI_COMMON_DF:
      return half(facts_.offered_features, state_.device_feature_select);
    case VIRTIO_PCI_COMMON_GFSELECT:
      return state_.driver_feature_select;
    case VIRTIO_PCI_COMMON_GF:
      return half(state_.driver_features, state_.driver_feature_select);
    case VIRTIO_PCI_COMMON_MSIX:
      return state_.config_msix_vector;
    case VIRTIO_PCI_COMMON_NUMQ:
      return state_.queues.size();
    case VIRTIO_PCI_COMMON_STATUS:
      return state_.status;
    case VIRTIO_PCI_COMMON_CFGGENERATION:
      return state_.config_generation;
    case VIRTIO_PCI_COMMON_Q_SELECT:
      return state_.queue_select;
    default:
      return queue_field(offset);
  }
}

const VirtioPciQueueState* VirtioPciRegisters::selected() const {
  return state_.queue_select < state_.queues.size() ? &state_.queues[state_.queue_select] : nullptr;
}

VirtioPciQueueState* VirtioPciRegisters::selected() {
  return state_.queue_select < state_.queues.size() ? &state_.queues[state_.queue_select] : nullptr;
}

std::uint64_t VirtioPciRegisters::queue_field(unsigned offset) const {
  const VirtioPciQueueState* chosen = selected();
  if (chosen == nullptr) return 0;  // size 0 says that there is no such queue
  switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
      return chosen->queue.size;
    case VIRTIO_PCI_COMMON_Q_MSIX:
      return chosen->msix_vector;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
      return chosen->queue.ready ? 1 : 0;
    case VIRTIO_PCI_COMMON_Q_NOFF:
      return state_.queue_select;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
      return chosen->queue.descriptor_table;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
      return chosen->queue.available_ring;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
      return chosen->queue.used_ring;
    default:
      return 0;
  }
}

void VirtioPciRegisters::set_field(unsigned offset, std::uint64_t value) {
  switch (offset) {
    case VIRTIO_PCI_COMMON_DFSELECT:
      state_.device_feature_select = static_cast<std::uint32_t>(value);
      return;
    case VIRTIO_PCI_COMMON_GFSELECT:
      state_.driver_feature_select = static_cast<std::uint32_t>(value);
      return;
    case VIRTIO_PCI_COMMON_GF:
      set_driver_features(static_cast<std::uint32_t>(value));
      return;
    case VIRTIO_PCI_COMMON_MSIX:
      state_.config_msix_vector = usable_vector(value);
      return;
    case VIRTIO_PCI_COMMON_Q_SELECT:
      state_.queue_select = static_cast<std::uint16_t>(value);
      return;
    default:
      set_queue_field(offset, value);
  }
}

void VirtioPciRegisters::set_driver_features(std::uint32_t value) {
  // What FEATURES_OK has sealed stays.
  if ((state_.status & VIRTIO_CONFIG_S_FEATURES_OK) != 0 || state_.driver_feature_select > 1)
    return;
  const unsigned shift = 32 * state_.driver_feature_select;
  state_.driver_features &= ~(std::uint64_t{0xFFFF'FFFF} << shift);
  state_.driver_features |= std::uint64_t{value} << shift;
}

void VirtioPciRegisters::set_queue_field(unsigned offset, std::uint64_t value) {
  VirtioPciQueueState* chosen = selected();
  if (chosen == nullptr) return;
  if (offset == VIRTIO_PCI_COMMON_Q_MSIX) {
    chosen->msix_vector = usable_vector(value);
    return;
  }
  VirtQueueState& queue = chosen->queue;
  // Section 4.1.4.3.2: configured before it is enabled. A worker may be at the rings after that.
  if (queue.ready) return;
  switch (offset) {
    case VIRTIO_PCI_COMMON_Q_SIZE:
      if (value <= facts_.queue_sizes[state_.queue_select] && std::has_single_bit(value)) {
        queue.size = static_cast<std::uint16_t>(value);
      }
      return;
    case VIRTIO_PCI_COMMON_Q_ENABLE:
      if (value == 1) enable(queue);
      return;
    case VIRTIO_PCI_COMMON_Q_DESCLO:
      queue.descriptor_table = value;
      return;
    case VIRTIO_PCI_COMMON_Q_AVAILLO:
      queue.available_ring = value;
      return;
    case VIRTIO_PCI_COMMON_Q_USEDLO:
      queue.used_ring = value;
      return;
    default:
      return;
  }
}

void VirtioPciRegisters::enable(VirtQueueState& queue) {
  const bool negotiated = (state_.status & VIRTIO_CONFIG_S_FEATURES_OK) != 0;
  if (!negotiated || is_driver_ok() || !rings_are_valid(*memory_, event_index(), queue)) {
    STASIS_LOG_GUEST("virtio: queue {} not enabled: rings {:#x}, {:#x}, {:#x} of {} entries",
                     state_.queue_select, queue.descriptor_table, queue.available_ring,
                     queue.used_ring, queue.size);
    return;
  }
  queue.ready = true;
}

std::uint16_t VirtioPciRegisters::usable_vector(std::uint64_t vector) const {
  // Section 4.1.5.1.2: a vector that cannot be used reads back as "no vector".
  return vector < facts_.msix_vectors ? static_cast<std::uint16_t>(vector) : VIRTIO_MSI_NO_VECTOR;
}

bool VirtioPciRegisters::add_status(std::uint8_t bits) {
  const bool was_ok = is_driver_ok();
  unsigned added = bits & ~unsigned{VIRTIO_CONFIG_S_NEEDS_RESET};  // the device's own
  const bool acceptable = (state_.driver_features & ~facts_.offered_features) == 0 &&
                          (state_.driver_features & feature_bit(VIRTIO_F_VERSION_1)) != 0;
  // Section 2.2.2: a driver that reads FEATURES_OK back as zero knows that it was refused.
  if (!acceptable) added &= ~unsigned{VIRTIO_CONFIG_S_FEATURES_OK};
  if (((state_.status | added) & VIRTIO_CONFIG_S_FEATURES_OK) == 0) {
    added &= ~unsigned{VIRTIO_CONFIG_S_DRIVER_OK};
  }
  state_.status = static_cast<std::uint8_t>(state_.status | added);
  return !was_ok && is_driver_ok();
}

bool VirtioPciRegisters::set_needs_reset() {
  if ((state_.status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0) return false;
  state_.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
  return true;
}

}  // namespace stasis::devices
