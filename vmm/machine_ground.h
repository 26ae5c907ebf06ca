#pragma once

#include <future>
#include <memory>
#include <vector>

#include "base/result.h"
#include "vmm/guest_ram.h"
#include "vmm/kvm/kvm_system.h"
#include "vmm/kvm/kvm_vm.h"

namespace stasis::vmm {

/// What a machine stands on: a VM with memory, interrupt controllers and an untouched first vCPU.
/// It needs neither a kernel nor a saved state, so it can be laid while those are read.
struct MachineGround {
  KvmSystem kvm;
  std::vector<kvm_cpuid_entry2> supported_cpuid;  ///< KVM_GET_SUPPORTED_CPUID
  KvmVm vm;
  GuestRam ram;         ///< known to KVM
  base::Fd first_vcpu;  ///< for KvmVcpu::adopt
};

/// Ground that is laid on a thread of its own, begun before there is any memory to give it.
/// Threads: one at a time. When it goes without having been given memory, the thread ends.
class GroundAhead {
 public:
  /// Not begun: then it is laid all at once when there is memory.
  GroundAhead();
  static GroundAhead begin();

  GroundAhead(GroundAhead&&) noexcept;
  GroundAhead& operator=(GroundAhead&&) noexcept;
  ~GroundAhead();

  /// On `ram`, whose contents may be mapped over it meanwhile: KVM follows what becomes of a
  /// mapping. The returned value waits for the rest.
  std::future<base::Result<MachineGround>> lay(GuestRam ram) &&;

 private:
  struct Thread;
  explicit GroundAhead(std::unique_ptr<Thread> thread);
  std::unique_ptr<Thread> thread_;
};

}  // namespace stasis::vmm
