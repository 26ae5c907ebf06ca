#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace stasis::vmm {

/// KVM_API_VERSION of the headers: the only one there is (kernel Documentation/virt/kvm/api.rst).
inline constexpr int kKvmApiVersion = 12;

/// What runs the guest's instructions.
enum class KvmKind {
  kNone,       ///< no usable /dev/kvm
  kVmx,        ///< Intel VT-x
  kSvm,        ///< AMD-V
  kEmulating,  ///< KVM without either: about a million instructions a second, and not all of them
};

/// /dev/kvm, looked at without making a VM.
struct KvmFacts {
  bool exists = false;
  int open_error = 0;   ///< errno of opening it read-write; 0 when that worked
  int api_version = 0;  ///< 0 when it could not be asked
  KvmKind kind = KvmKind::kNone;
  std::vector<std::string> missing_capabilities;  ///< of required_capabilities()
};

/// How a process may follow the guest's first writes to its memory.
enum class UserfaultFacts {
  kAbsent,          ///< the kernel has no userfaultfd
  kForbidden,       ///< present, but not for this user with kernel-mode faults (KVM needs them)
  kNoWriteProtect,  ///< usable, but without write protection
  kUsable,
};

/// The folder that will hold VMs and snapshots, or the nearest one above it that exists.
struct StorageFacts {
  std::string root;      ///< what was asked for
  std::string existing;  ///< what was looked at
  bool is_writable = false;
  std::optional<bool> has_reflinks;  ///< FICLONE between two files there; nullopt: not tried
  std::uint64_t free_bytes = 0;
};

/// All that decides what this host can run. Plain values: tests make their own.
struct HostFacts {
  KvmFacts kvm;
  UserfaultFacts userfault = UserfaultFacts::kAbsent;
  std::string huge_pages;  ///< always, madvise, never; empty: the kernel has none
  int io_uring_error = 0;  ///< errno of io_uring_setup; 0 when it worked
  bool has_libslirp = false;
  StorageFacts storage;
  std::uint64_t memlock_bytes = 0;  ///< RLIMIT_MEMLOCK, soft; UINT64_MAX: no limit
  std::uint64_t memory_bytes = 0;
  std::uint64_t available_bytes = 0;
};

/// Looks at everything. `state_root` need not exist; nothing is left behind.
HostFacts probe_host(const std::string& state_root);

/// Version that /dev/kvm reports; nullopt when it cannot be opened.
std::optional<int> host_kvm_api_version();

/// RAM of this host in bytes.
std::uint64_t host_memory_bytes();

/// The words of the first "flags" line in the text of /proc/cpuinfo say whether there is `vmx` or
/// `svm`; kEmulating when neither.
KvmKind kind_of_cpu_flags(const std::string& cpuinfo);

}  // namespace stasis::vmm
