#pragma once

#include <linux/virtio_pci.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/guest_memory.h"
#include "base/result.h"
#include "devices/io_handler.h"
#include "devices/virtio/virt_queue.h"

namespace stasis::devices {

/// One queue as the transport keeps it.
struct VirtioPciQueueState {
  std::uint16_t msix_vector = VIRTIO_MSI_NO_VECTOR;
  VirtQueueState queue;
  bool operator==(const VirtioPciQueueState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [vector, q] = self;
    fields("msix_vector", vector)("queue", q);
  }
};

/// The virtio part of a function: everything that writing zero to the status resets.
struct VirtioPciRegistersState {
  std::uint8_t status = 0;
  std::uint8_t isr = 0;
  std::uint8_t config_generation = 0;
  std::uint16_t config_msix_vector = VIRTIO_MSI_NO_VECTOR;
  std::uint32_t device_feature_select = 0;
  std::uint32_t driver_feature_select = 0;
  std::uint64_t driver_features = 0;
  std::uint16_t queue_select = 0;
  std::vector<VirtioPciQueueState> queues;  ///< empty: as after a reset
  bool operator==(const VirtioPciRegistersState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [st, isr_bits, gen, vector, dfs, gfs, features, select, list] = self;
    fields("status", st)("isr", isr_bits)("config_generation", gen)("config_msix_vector", vector)(
        "device_feature_select", dfs)("driver_feature_select", gfs)("driver_features", features)(
        "queue_select", select)("queues", list);
  }
};

/// The registers of a virtio-pci function (virtio 1.2, section 4.1.4.3) and the rules of device
/// initialisation (section 3.1.1), without any effect beyond themselves.
/// Threads: the owner locks.
class VirtioPciRegisters {
 public:
  using State = VirtioPciRegistersState;
  /// What the device is; never changes.
  struct Facts {
    std::uint64_t offered_features = 0;
    std::vector<std::uint16_t> queue_sizes;  ///< maxima
    unsigned msix_vectors = 0;
  };

  /// Errors: the state does not fit the device (another number of queues, features that are not
  /// offered, a queue larger than the maximum).
  static base::Result<VirtioPciRegisters> create(Facts facts, const base::GuestMemory& memory,
                                                 State state = {});

  /// The common configuration structure, byte by byte; accesses of any width and alignment, zero
  /// beyond the end.
  std::uint64_t read(IoAccess access) const;

  /// A write to the status register has effects elsewhere: it changes nothing and is returned.
  /// Everything else takes effect, or is ignored where the driver may not do it.
  std::optional<std::uint8_t> write(IoAccess access, std::uint64_t value);

  /// Adds the driver's status bits as far as the rules allow; true when that set DRIVER_OK.
  bool add_status(std::uint8_t bits);

  /// Section 2.1.2: the device gave up. False when that was said before.
  bool set_needs_reset();
  void reset();

  bool is_driver_ok() const;
  std::uint64_t driver_features() const { return state_.driver_features; }
  bool event_index() const;
  State& state() { return state_; }
  const State& state() const { return state_; }

 private:
  VirtioPciRegisters(Facts facts, const base::GuestMemory& memory, State state);

  VirtioPciQueueState* selected();
  const VirtioPciQueueState* selected() const;
  std::uint64_t field(unsigned offset) const;
  std::uint64_t queue_field(unsigned offset) const;
  void set_field(unsigned offset, std::uint64_t value);
  void set_queue_field(unsigned offset, std::uint64_t value);
  void set_driver_features(std::uint32_t value);
  void enable(VirtQueueState& queue);
  std::uint16_t usable_vector(std::uint64_t vector) const;

  Facts facts_;
  const base::GuestMemory* memory_;
  State state_;
};

/// What the transport itself offers: VERSION_1, INDIRECT_DESC, EVENT_IDX.
std::uint64_t transport_features();

/// `device_features` without the bits that belong to the transport, and with the transport's.
std::uint64_t offered_features(std::uint64_t device_features);

}  // namespace stasis::devices
