#pragma once

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
/// Threads: one at a time. When it goes, it waits for the thread and frees what is there.
class GroundAhead {
 public:
  /// Not begun: then it begins when there is memory.
  GroundAhead();
  static GroundAhead begin();
  /// On memory that is there already.
  static GroundAhead begin_on(GuestRam ram);

  GroundAhead(GroundAhead&&) noexcept;
  GroundAhead& operator=(GroundAhead&&) noexcept;
  ~GroundAhead();

  /// As soon as it is known how much there shall be: from here on the thread waits for nothing.
  /// What it has of another size is given up. Errors as GuestRam::allocate.
  base::Status give_memory(std::uint64_t size_bytes);

  /// Of the memory that it was given. Contents may be mapped over it while the ground is laid: KVM
  /// follows what becomes of a mapping.
  const std::vector<base::MemoryRegion>& regions() const;

  /// Waits for the rest. Needs memory.
  base::Result<MachineGround> get() &&;

 private:
  struct Thread;
  explicit GroundAhead(std::unique_ptr<Thread> thread);
  void give(GuestRam ram);
  std::unique_ptr<Thread> thread_;
};

}  // namespace stasis::vmm
