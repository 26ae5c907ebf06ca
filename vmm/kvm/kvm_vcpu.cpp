#include "vmm/kvm/kvm_vcpu.h"

#include <sys/ioctl.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>

#include "vmm/kvm/kvm_list.h"

namespace stasis::vmm {
namespace {

base::Status set_cpuid(const base::Fd& vcpu, const std::vector<kvm_cpuid_entry2>& entries) {
  KvmList<kvm_cpuid_entry2> list{std::span(entries)};
  return kvm_call(vcpu, kKvmSetCpuid2, "KVM_SET_CPUID2", list.data());
}

}  // namespace

base::Result<KvmVcpu> KvmVcpu::create(const KvmSystem& system, const KvmVm& vm, unsigned id,
                                      std::vector<kvm_cpuid_entry2> cpuid) {
  return adopt(system, TRY(vm.create_vcpu(id)), std::move(cpuid));
}

base::Result<KvmVcpu> KvmVcpu::adopt(const KvmSystem& system, base::Fd fd,
                                     std::vector<kvm_cpuid_entry2> cpuid) {
  base::Mapping run = TRY(base::Mapping::shared(fd, TRY(system.run_size())));
  // A forked child that still had it would keep the whole VM alive. A wish: it ends soon anyway.
  ::madvise(run.data(), run.size(), MADV_DONTFORK);
  TRY(set_cpuid(fd, cpuid));
  return KvmVcpu(std::move(fd), std::move(run), std::move(cpuid));
}

int KvmVcpu::run() const {
  return ::ioctl(fd_.get(), KVM_RUN, 0) < 0 ? errno : 0;
}

void KvmVcpu::ask_to_exit() const {
  std::atomic_ref(exit().immediate_exit).store(1);
}

void KvmVcpu::clear_exit_request() const {
  std::atomic_ref(exit().immediate_exit).store(0);
}

}  // namespace stasis::vmm
