#include "vmm/machine_restore.h"

#include <asm/kvm_para.h>
#include <fmt/format.h>

#include <array>

#include "base/log.h"
#include "vmm/host_needs.h"
#include "vmm/kvm/cpuid_check.h"
#include "vmm/machine_builder.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using base::ErrorKind;

const char* text_of(Ending::Kind kind) {
  switch (kind) {
    case Ending::Kind::kReset:
      return "the guest is rebooting";
    case Ending::Kind::kPowerOff:
      return "the guest is powering off";
    case Ending::Kind::kPanic:
      return "the guest's kernel panicked";
    case Ending::Kind::kTripleFault:
      return "the guest crashed (triple fault)";
    case Ending::Kind::kInternalError:
      return "KVM could not go on with the guest";
    case Ending::Kind::kStopped:
      return "the machine was stopped";
  }
  return "the machine has ended";
}

base::Status check_fits(const MachineConfig& config, const MachineState& state) {
  const auto differ = [](const char* what, std::uint64_t configured, std::uint64_t saved) {
    return base::fail(ErrorKind::kInvalidArgument,
                      fmt::format("{}: {} in the configuration, {} in the saved state; restore "
                                  "with the configuration it was saved with",
                                  what, configured, saved));
  };
  if (state.layout != layout::kVersion) {
    return differ("machine layout", layout::kVersion, state.layout);
  }
  if (config.cpus != state.vcpus.size()) return differ("vCPUs", config.cpus, state.vcpus.size());
  if (config.memory_bytes != state.memory_bytes) {
    return differ("bytes of memory", config.memory_bytes, state.memory_bytes);
  }
  return {};
}

/// The 12 bytes (pvclock_wall_clock) that KVM writes into guest memory when it is told where the
/// guest keeps its wall clock. They are part of the saved memory already, and only those are right
/// for a frozen clock; so they are put back.
class WallClockKeeper {
 public:
  WallClockKeeper(const base::GuestMemory& memory, const MachineState& state) : memory_(memory) {
    for (const auto& vcpu : state.vcpus) {
      for (const MsrValue& msr : vcpu.msrs) {
        if (msr.index == MSR_KVM_WALL_CLOCK_NEW) address_ = {msr.value};
      }
    }
    if (address_.value != 0) bytes_ = memory.load<Bytes>(address_);
  }
  WallClockKeeper(const WallClockKeeper&) = delete;
  WallClockKeeper& operator=(const WallClockKeeper&) = delete;
  ~WallClockKeeper() {
    if (bytes_) memory_.store(address_, *bytes_);
  }

 private:
  using Bytes = std::array<std::uint8_t, 12>;
  const base::GuestMemory& memory_;
  base::GuestAddress address_;
  std::optional<Bytes> bytes_;
};

base::Status restore_vcpus(MachineParts& parts, const MachineState& state) {
  const WallClockKeeper keeper(parts.memory, state);
  for (std::size_t i = 0; i < parts.vcpus.size(); ++i) {
    TRY(set_tsc_rate(parts.vcpus[i], parts.tsc_facts, state.vcpus[i].tsc_khz));
    auto restored = restore_vcpu(parts.vcpus[i], parts.vcpu_facts, state.vcpus[i]);
    if (!restored) return base::fail(restored.error().with_context(fmt::format("vCPU {}", i)));
  }
  return {};
}

/// A KVM without hardware virtualization may ignore what it is told: the guest then sees the host's
/// counter. Nothing can be done about it but to say so.
base::Status warn_if_counter_is_off(const MachineParts& parts, TscReading wanted,
                                    std::uint64_t host_moment) {
  constexpr std::int64_t kTolerableMs = 10;
  const auto found = TRY(read_tsc(parts.vcpus.front(), parts.tsc_facts, host_moment));
  const auto off = static_cast<std::int64_t>(found.value - wanted.value);
  const std::int64_t off_ms = off / static_cast<std::int64_t>(wanted.khz);
  if (off_ms > kTolerableMs || off_ms < -kTolerableMs) {
    base::log::warn("this host's KVM cannot set time stamp counters: the guest's is {} ms off",
                    off_ms);
  }
  return {};
}

/// By the algorithm of kernel Documentation/virt/kvm/devices/vcpu.rst, section 4.1: counters go
/// ahead by what the clock went ahead, whichever policy decided how much that is.
base::Status restore_time(MachineParts& parts, const MachineState& state, ClockPolicy policy) {
  const ClockShift shift = TRY(restore_clock(parts.vm, state.vm.clock, policy));
  for (std::size_t i = 0; i < parts.vcpus.size(); ++i) {
    const VcpuState& vcpu = state.vcpus[i];
    const auto ahead = static_cast<std::uint64_t>(tsc_counts(shift.elapsed_ns, vcpu.tsc_khz));
    const TscReading wanted{vcpu.tsc_khz, vcpu.tsc + ahead};
    TRY(write_tsc(parts.vcpus[i], parts.tsc_facts, wanted, shift.host_tsc));
    if (i == 0) TRY(warn_if_counter_is_off(parts, wanted, shift.host_tsc));
    TRY(restore_vcpu_events(parts.vcpus[i], vcpu));
  }
  return {};
}

/// What the guest had under the KVM that is loaded still need not be looked for there. If the state
/// is wrong about that, what it has too much is refused where it is restored.
base::Status check_ground(MachineGround& ground, const MachineState& state) {
  if (state.is_of(ground.host)) return {};
  const HostNeeds needs = host_needs(state);
  TRY(ground.need_supported_cpuid());
  TRY(check_cpuid(needs.cpuid, to_state(ground.supported_cpuid)));
  return check_kvm(ground.kvm, needs);
}

}  // namespace

base::Status check_can_be_saved(const MachineParts& parts) {
  const auto ending = parts.latch.ending();
  if (!ending) return {};
  return base::fail(
      ErrorKind::kInvalidState,
      fmt::format("{}: there is no state to save; try again when it runs", text_of(ending->kind)));
}

base::Result<MachineState> save_parts(const MachineParts& parts) {
  MachineState state;
  state.host = parts.host;
  state.layout = layout::kVersion;
  state.memory_bytes = parts.config.memory_bytes;
  state.vm = TRY(save_vm(parts.vm));
  state.platform = parts.platform->save();
  state.pci = parts.pci->save();
  state.vcpus.reserve(parts.vcpus.size());
  for (const KvmVcpu& vcpu : parts.vcpus) {
    state.vcpus.push_back(TRY(save_vcpu(vcpu, parts.vcpu_facts)));
    const auto tsc = TRY(read_tsc(vcpu, parts.tsc_facts, state.vm.clock.host_tsc));
    state.vcpus.back().tsc_khz = tsc.khz;
    state.vcpus.back().tsc = tsc.value;
  }
  return state;
}

base::Status restore_kvm_state(MachineParts& parts, const MachineState& state, ClockPolicy policy) {
  if (state.vm.wide_apic_ids != parts.vm.has_wide_apic_ids()) {
    return base::fail(ErrorKind::kUnsupported,
                      "KVM_CAP_X2APIC_API: this host's KVM differs from the one the state was "
                      "saved on; restore on a kernel like that one");
  }
  TRY(restore_vcpus(parts, state));
  TRY(restore_time(parts, state, policy));
  return restore_interrupt_controllers(parts.vm, state.vm);
}

void tell_guest_it_was_stopped(const MachineParts& parts) {
  for (const KvmVcpu& vcpu : parts.vcpus) kvm_ioctl(vcpu.fd(), KVM_KVMCLOCK_CTRL, 0UL);
}

base::Result<std::unique_ptr<MachineParts>> restore_machine(const MachineConfig& config,
                                                            Machine::Io io, MachineGround ground,
                                                            const Restore& restore) {
  TRY(check_fits(config, restore.state));
  TRY(check_ground(ground, restore.state));
  PlatformState platform = restore.state.platform;
  if (restore.clock == ClockPolicy::kFreeze) {
    platform.rtc = devices::CmosRtc::set_back(
        platform.rtc,
        static_cast<std::int64_t>(host_realtime_ns() - restore.state.vm.clock.realtime_ns));
  }
  auto parts = TRY(rebuild_machine(config, io, {std::move(ground), restore.state, platform}));
  if (parts->latch.ending()) {
    return base::fail(ErrorKind::kCorrupt, fmt::format("the state was saved while {}",
                                                       text_of(parts->latch.ending()->kind)));
  }
  TRY(restore_kvm_state(*parts, restore.state, restore.clock));
  tell_guest_it_was_stopped(*parts);
  if (restore.new_generation) TRY(parts->platform->generation().set_new_generation());
  return parts;
}

}  // namespace stasis::vmm
