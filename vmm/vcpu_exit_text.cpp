#include "vmm/vcpu_exit_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace stasis::vmm {
namespace {

std::string where(const KvmVcpu& vcpu) {
  kvm_regs regs{};
  if (!kvm_call(vcpu.fd(), KVM_GET_REGS, "KVM_GET_REGS", &regs)) return "an unknown address";
  return fmt::format("rip {:#x}", regs.rip);
}

std::string instruction_bytes(const kvm_run& exit) {
  const auto& failure = exit.emulation_failure;
  if (failure.ndata < 3 ||
      (failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES) == 0) {
    return "";
  }
  const std::size_t size = std::min<std::size_t>(failure.insn_size, sizeof failure.insn_bytes);
  std::string text = ", instruction bytes";
  for (std::size_t i = 0; i < size; ++i) text += fmt::format(" {:02x}", failure.insn_bytes[i]);
  return text;
}

}  // namespace

std::string describe_failed_exit(const KvmVcpu& vcpu) {
  const kvm_run& exit = vcpu.exit();
  switch (exit.exit_reason) {
    case KVM_EXIT_INTERNAL_ERROR:
      if (exit.internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
        return fmt::format(
            "KVM cannot emulate the guest's instruction at {}{}; a host with "
            "hardware virtualization runs it (see: stasis doctor)",
            where(vcpu), instruction_bytes(exit));
      }
      return fmt::format("KVM internal error {} at {}", exit.internal.suberror, where(vcpu));
    case KVM_EXIT_FAIL_ENTRY:
      return fmt::format("the CPU refused to enter the guest, hardware reason {:#x}, at {}",
                         exit.fail_entry.hardware_entry_failure_reason, where(vcpu));
    default:
      return fmt::format("KVM exit {} at {} is not one this machine has a use for",
                         exit.exit_reason, where(vcpu));
  }
}

std::string describe_failed_run(const KvmVcpu& vcpu, int error_number) {
  return fmt::format("KVM_RUN failed at {}: {}", where(vcpu), std::strerror(error_number));
}

}  // namespace stasis::vmm
