#include "vmm/kvm/vcpu_boot.h"

#include "vmm/kvm/msrs.h"

namespace stasis::vmm {
namespace {

// Intel SDM volume 4, table 2-2.
constexpr std::uint32_t kMsrMiscEnable = 0x1A0;
constexpr std::uint64_t kFastStrings = 1;
constexpr std::uint32_t kMsrMtrrDefType = 0x2FF;
constexpr std::uint64_t kMtrrEnabledWriteBack = 1U << 11 | 6;

kvm_segment to_kvm(const SegmentValue& value) {
  kvm_segment segment{};
  segment.base = value.base;
  segment.limit = value.limit;
  segment.selector = value.selector;
  segment.type = value.type;
  segment.dpl = value.dpl;
  segment.present = value.present ? 1 : 0;
  segment.s = value.code_or_data ? 1 : 0;
  segment.db = value.default_size_32 ? 1 : 0;
  segment.l = value.long_mode ? 1 : 0;
  segment.g = value.granular ? 1 : 0;
  return segment;
}

kvm_dtable to_kvm(const TableRegister& value) {
  kvm_dtable table{};
  table.base = value.base;
  table.limit = value.limit;
  return table;
}

base::Status set_system_registers(const KvmVcpu& vcpu, const BootRegisters& registers) {
  kvm_sregs sregs{};  // read first: it also holds the APIC base, which is not the kernel's affair
  TRY(kvm_call(vcpu.fd(), KVM_GET_SREGS, "KVM_GET_SREGS", &sregs));
  sregs.cs = to_kvm(registers.cs);
  sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = to_kvm(registers.data);
  sregs.tr = to_kvm(registers.task);
  sregs.gdt = to_kvm(registers.gdt);
  sregs.idt = to_kvm(registers.idt);
  sregs.cr0 = registers.cr0;
  sregs.cr3 = registers.cr3;
  sregs.cr4 = registers.cr4;
  sregs.efer = registers.efer;
  return kvm_call(vcpu.fd(), KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
}

}  // namespace

base::Status set_firmware_msrs(const KvmVcpu& vcpu) {
  return write_msrs(vcpu,
                    {{kMsrMiscEnable, kFastStrings}, {kMsrMtrrDefType, kMtrrEnabledWriteBack}});
}

base::Status set_boot_registers(const KvmVcpu& vcpu, const BootRegisters& registers) {
  TRY(set_system_registers(vcpu, registers));
  kvm_regs regs{};
  regs.rip = registers.rip;
  regs.rsp = registers.rsp;
  regs.rbp = registers.rbp;
  regs.rbx = registers.rbx;
  regs.rsi = registers.rsi;
  regs.rflags = registers.rflags;
  return kvm_call(vcpu.fd(), KVM_SET_REGS, "KVM_SET_REGS", &regs);
}

}  // namespace stasis::vmm
