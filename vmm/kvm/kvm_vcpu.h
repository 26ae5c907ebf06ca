#pragma once

#include <linux/kvm.h>

#include <vector>

#include "base/fd.h"
#include "base/mapping.h"
#include "base/result.h"
#include "vmm/kvm/kvm_vm.h"

namespace stasis::vmm {

/// One vCPU's descriptor and its `kvm_run` page. Threads: the thread that runs it, or any one while
/// it does not run; `ask_to_exit` from any.
class KvmVcpu {
 public:
  /// Creates vCPU `id` and gives it `cpuid`, which comes before everything else (T14).
  static base::Result<KvmVcpu> create(const KvmSystem& system, const KvmVm& vm, unsigned id,
                                      std::vector<kvm_cpuid_entry2> cpuid);

  /// The same of one that KvmVm::create_vcpu has made, and nobody has touched.
  static base::Result<KvmVcpu> adopt(const KvmSystem& system, base::Fd fd,
                                     std::vector<kvm_cpuid_entry2> cpuid);

  /// KVM_RUN once; 0, or the error number (EINTR when asked to exit).
  int run() const;

  /// Makes the current or next `run` return EINTR; pending port and memory accesses are finished
  /// first. A running vCPU also needs a signal to leave the guest.
  void ask_to_exit() const;

  /// Takes `ask_to_exit` back.
  void clear_exit_request() const;

  /// Why the last `run` returned.
  kvm_run& exit() const { return *reinterpret_cast<kvm_run*>(run_.data()); }

  /// What `create` was given: KVM itself changes a few bits at run time (OSXSAVE, for one).
  const std::vector<kvm_cpuid_entry2>& cpuid() const { return cpuid_; }

  const base::Fd& fd() const { return fd_; }

 private:
  KvmVcpu(base::Fd fd, base::Mapping run, std::vector<kvm_cpuid_entry2> cpuid)
      : fd_(std::move(fd)), run_(std::move(run)), cpuid_(std::move(cpuid)) {}

  base::Fd fd_;
  base::Mapping run_;
  std::vector<kvm_cpuid_entry2> cpuid_;
};

}  // namespace stasis::vmm
