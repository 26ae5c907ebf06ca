#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>

#include "base/guest_memory.h"
#include "base/result.h"
#include "devices/checkpointable.h"
#include "devices/legacy/acpi_pm.h"

namespace stasis::devices {

struct VmGenIdState {
  static constexpr std::string_view kName = "vm_gen_id";
  static constexpr std::uint32_t kVersion = 1;

  /// As the guest reads it from memory, 16 bytes.
  std::array<std::uint8_t, 16> guid{};

  bool operator==(const VmGenIdState&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a] = self;
    fields("guid", a);
  }
};

/// Virtual machine generation ID (Microsoft, "Virtual Machine Generation ID", 2012): 128 bits in
/// guest RAM that change whenever the guest's past may be lived a second time (restore, clone),
/// with a notification, so that the guest reseeds its random numbers (Linux
/// drivers/virt/vmgenid.c). The address is what the DSDT's `ADDR` method returns; 8-byte aligned,
/// in memory that the guest does not use otherwise. The constructor writes the GUID there, so a
/// later writer of ACPI tables must leave these 16 bytes alone. Threads: any. Saved: VmGenIdState.
class VmGenId final {
 public:
  using State = VmGenIdState;
  struct Wiring {
    const base::GuestMemory& memory;
    base::GuestAddress address;  ///< of 16 bytes of RAM
    AcpiPm& notifier;
  };

  /// The state of a machine that is switched on: a new random GUID.
  static base::Result<State> random_state();

  explicit VmGenId(Wiring wiring, State state = {});

  /// Another GUID, from getrandom(2), and a notification. For a restore or clone: call it while the
  /// vCPUs are paused, before their first instruction.
  base::Status set_new_generation();

  State save() const;

 private:
  const Wiring wiring_;
  mutable std::mutex mutex_;
  State state_;  // guarded by mutex_
};
static_assert(Checkpointable<VmGenId>);

}  // namespace stasis::devices
