#pragma once

#include <linux/kvm.h>

#include <cstdint>
#include <string_view>

#include "base/state_codec.h"
#include "vmm/kvm/vcpu_state.h"

namespace stasis::vmm {

/// What happens to a restored guest's clocks.
enum class ClockPolicy : std::uint8_t {
  kCatchUp,  ///< the time between save and restore has passed for the guest, too
  kFreeze,   ///< the guest's clocks go on where they stopped
};

/// One moment, as the guest's paravirtual clock, the host's wall clock and its counter show it.
struct KvmClockState {
  std::uint64_t guest_ns = 0;     ///< kvmclock, since the guest was switched on
  std::uint64_t realtime_ns = 0;  ///< CLOCK_REALTIME of the host
  std::uint64_t host_tsc = 0;
  bool operator==(const KvmClockState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [guest, realtime, tsc] = self;
    fields("guest_ns", guest)("realtime_ns", realtime)("host_tsc", tsc);
  }
};

/// What KVM keeps for the whole machine. Interrupt routes are not here: KVM cannot tell them, so
/// the devices set them again (T48).
struct VmState {
  static constexpr std::string_view kName = "vm";
  static constexpr std::uint32_t kVersion = 1;
  KvmClockState clock;
  Raw<kvm_pit_state2> pit{};  ///< less the host's time of each count, which KVM sets anew
  Raw<kvm_pic_state> pic_master{};
  Raw<kvm_pic_state> pic_slave{};
  Raw<kvm_ioapic_state> ioapic{};
  bool wide_apic_ids = false;  ///< local APICs have 32-bit ids in VcpuState (KVM_CAP_X2APIC_API)
  bool operator==(const VmState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [c, p, master, slave, io, wide] = self;
    fields("clock", c)("pit", p)("pic_master", master)("pic_slave", slave)("ioapic", io)(
        "wide_apic_ids", wide);
  }
};

/// The clock, once and first (T22), then timer and interrupt controllers; vCPUs are parked and
/// device workers at rest, the vCPUs' own state is read afterwards (T4).
base::Result<VmState> save_vm(const KvmVm& vm);

/// Where the restored clock stands: what the vCPUs' counters have to agree with.
struct ClockShift {
  std::int64_t elapsed_ns = 0;  ///< how far the guest's clock is ahead of the saved one
  std::uint64_t host_tsc = 0;   ///< this host's counter at that moment
};

/// Sets the clock; before any vCPU runs. kCatchUp leaves it to KVM to add the wall time that went
/// by (KVM_CLOCK_REALTIME) where it can; the clock never goes backwards.
base::Result<ClockShift> restore_clock(const KvmVm& vm, const KvmClockState& clock,
                                       ClockPolicy policy);

/// Sets interrupt controllers, then the timer; after the vCPUs' local APICs, because the IOAPIC
/// sends them what it had not delivered.
base::Status restore_interrupt_controllers(const KvmVm& vm, const VmState& state);

/// CLOCK_REALTIME in nanoseconds.
std::uint64_t host_realtime_ns();

}  // namespace stasis::vmm
