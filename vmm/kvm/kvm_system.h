#pragma once

#include <linux/kvm.h>

#include <cstddef>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::vmm {

/// One KVM capability this program cannot do without.
struct RequiredCapability {
  int number;
  const char* name;
};

/// The capabilities that every machine needs, in the order they are checked.
const std::vector<RequiredCapability>& required_capabilities();

/// /dev/kvm (kernel Documentation/virt/kvm/api.rst, "system ioctls"). Threads: any.
class KvmSystem {
 public:
  /// Opens `path`, checks the API version (12) and every required capability. Errors say what is
  /// missing and what helps.
  static base::Result<KvmSystem> open(const std::string& path = "/dev/kvm");

  /// KVM_CHECK_EXTENSION on the system descriptor; 0 when absent.
  int check(int capability) const;

  /// KVM_CREATE_VM.
  base::Result<base::Fd> create_vm() const;

  /// Bytes of a vCPU's `kvm_run` mapping (KVM_GET_VCPU_MMAP_SIZE).
  base::Result<std::size_t> run_size() const;

  /// KVM_GET_SUPPORTED_CPUID: all the host's KVM can offer.
  base::Result<std::vector<kvm_cpuid_entry2>> supported_cpuid() const;

  const base::Fd& fd() const { return fd_; }

 private:
  explicit KvmSystem(base::Fd fd) : fd_(std::move(fd)) {}
  base::Fd fd_;
};

/// ioctl(2), repeated while it is interrupted before doing anything. -1 and errno on failure.
int kvm_ioctl(const base::Fd& fd, unsigned long request, const void* argument = nullptr);

/// As above for requests that take a number.
int kvm_ioctl(const base::Fd& fd, unsigned long request, unsigned long argument);

/// As above, with the failure as an error that starts with `what`.
base::Status kvm_call(const base::Fd& fd, unsigned long request, const char* what,
                      const void* argument = nullptr);

}  // namespace stasis::vmm
