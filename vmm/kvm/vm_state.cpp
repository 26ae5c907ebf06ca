#include "vmm/kvm/vm_state.h"

#include <cstring>
#include <ctime>

#include "vmm/kvm/tsc.h"

namespace stasis::vmm {
namespace {

template <typename T>
base::Status save_chip(const KvmVm& vm, std::uint32_t id, Raw<T>& out) {
  kvm_irqchip chip{};
  chip.chip_id = id;
  TRY(kvm_call(vm.fd(), KVM_GET_IRQCHIP, "KVM_GET_IRQCHIP", &chip));
  std::memcpy(out.data(), &chip.chip, out.size());
  return {};
}

template <typename T>
base::Status restore_chip(const KvmVm& vm, std::uint32_t id, const Raw<T>& in) {
  kvm_irqchip chip{};
  chip.chip_id = id;
  std::memcpy(&chip.chip, in.data(), in.size());
  return kvm_call(vm.fd(), KVM_SET_IRQCHIP, "KVM_SET_IRQCHIP", &chip);
}

base::Result<KvmClockState> read_clock(const KvmVm& vm) {
  kvm_clock_data data{};
  TRY(kvm_call(vm.fd(), KVM_GET_CLOCK, "KVM_GET_CLOCK", &data));
  KvmClockState clock{data.clock, data.realtime, data.host_tsc};
  // KVM knows all three at one moment only while its clock runs on the host's counter.
  if ((data.flags & KVM_CLOCK_HOST_TSC) == 0) clock.host_tsc = host_tsc();
  if ((data.flags & KVM_CLOCK_REALTIME) == 0) clock.realtime_ns = host_realtime_ns();
  return clock;
}

}  // namespace

std::uint64_t host_realtime_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(now.tv_nsec);
}

base::Result<VmState> save_vm(const KvmVm& vm) {
  VmState state;
  state.clock = TRY(read_clock(vm));
  TRY(save_chip<kvm_pic_state>(vm, KVM_IRQCHIP_PIC_MASTER, state.pic_master));
  TRY(save_chip<kvm_pic_state>(vm, KVM_IRQCHIP_PIC_SLAVE, state.pic_slave));
  TRY(save_chip<kvm_ioapic_state>(vm, KVM_IRQCHIP_IOAPIC, state.ioapic));
  kvm_pit_state2 pit{};
  TRY(kvm_call(vm.fd(), KVM_GET_PIT2, "KVM_GET_PIT2", &pit));
  for (auto& channel : pit.channels) channel.count_load_time = 0;
  std::memcpy(state.pit.data(), &pit, sizeof pit);
  state.wide_apic_ids = vm.has_wide_apic_ids();
  return state;
}

base::Result<ClockShift> restore_clock(const KvmVm& vm, const KvmClockState& clock,
                                       ClockPolicy policy) {
  kvm_clock_data data{};
  data.clock = clock.guest_ns;
  if (policy == ClockPolicy::kCatchUp) {
    if ((vm.check(KVM_CAP_ADJUST_CLOCK) & KVM_CLOCK_REALTIME) != 0) {
      data.flags = KVM_CLOCK_REALTIME;
      data.realtime = clock.realtime_ns;
    } else if (const std::uint64_t now = host_realtime_ns(); now > clock.realtime_ns) {
      data.clock += now - clock.realtime_ns;
    }
  }
  TRY(kvm_call(vm.fd(), KVM_SET_CLOCK, "KVM_SET_CLOCK", &data));
  const KvmClockState set = TRY(read_clock(vm));
  return ClockShift{static_cast<std::int64_t>(set.guest_ns - clock.guest_ns), set.host_tsc};
}

base::Status restore_interrupt_controllers(const KvmVm& vm, const VmState& state) {
  // The slave first: each call passes what the slave has on to the master.
  TRY(restore_chip<kvm_pic_state>(vm, KVM_IRQCHIP_PIC_SLAVE, state.pic_slave));
  TRY(restore_chip<kvm_pic_state>(vm, KVM_IRQCHIP_PIC_MASTER, state.pic_master));
  TRY(restore_chip<kvm_ioapic_state>(vm, KVM_IRQCHIP_IOAPIC, state.ioapic));
  return kvm_call(vm.fd(), KVM_SET_PIT2, "KVM_SET_PIT2", state.pit.data());
}

}  // namespace stasis::vmm
