#include "vmm/kvm/msrs.h"

#include <fmt/format.h>

#include "vmm/kvm/kvm_list.h"

namespace stasis::vmm {

base::Status write_msrs(const KvmVcpu& vcpu, const std::vector<MsrValue>& values) {
  std::vector<kvm_msr_entry> entries;
  entries.reserve(values.size());
  for (const auto& msr : values) entries.push_back({msr.index, 0, msr.value});
  KvmList<kvm_msr_entry> request{std::span<const kvm_msr_entry>(entries)};
  const int taken = kvm_ioctl(vcpu.fd(), kKvmSetMsrs, request.data());
  if (taken < 0) return base::fail(base::errno_error("KVM_SET_MSRS"));
  if (static_cast<std::size_t>(taken) == values.size()) return {};
  const auto& refused = values[static_cast<std::size_t>(taken)];
  return base::fail(
      base::ErrorKind::kUnsupported,
      fmt::format("this host's KVM refuses MSR {:#x} = {:#x}", refused.index, refused.value));
}

}  // namespace stasis::vmm
