#pragma once

#include <memory>
#include <string>
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
  std::string host;                               ///< host_instance()
  std::vector<kvm_cpuid_entry2> supported_cpuid;  ///< empty until it is needed
  KvmVm vm;
  GuestRam ram;         ///< known to KVM
  base::Fd first_vcpu;  ///< for KvmVcpu::adopt

  /// From here on `supported_cpuid` is KVM_GET_SUPPORTED_CPUID.
  base::Status need_supported_cpuid();
};

/// Ground that is laid on a thread of its own, begun before there is any memory to give it.
/// Threads: one at a time. When it goes, it waits for the thread and frees what is there.
class GroundAhead {
 public:
  /// KVM asks the CPU for each leaf of the supported CPUID, which is an exit on a host that is a
  /// guest itself, half a millisecond in all. Who boots needs it, and gets it at the same time as
  /// the rest; who restores what was saved on this very host does not.
  enum class Purpose { kBoot, kRestore };

  /// Not begun: then it begins when there is memory.
  GroundAhead() : GroundAhead(Purpose::kBoot) {}
  explicit GroundAhead(Purpose purpose);
  static GroundAhead begin(Purpose purpose);
  /// On memory that is there already.
  static GroundAhead begin_on(GuestRam ram, Purpose purpose);

  bool has_begun() const { return thread_ != nullptr; }

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
  void give(GuestRam ram);
  Purpose purpose_;
  std::shared_ptr<Thread> thread_;  // its own, too, while it ends
};

}  // namespace stasis::vmm
