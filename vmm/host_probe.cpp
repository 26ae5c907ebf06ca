#include "vmm/host_probe.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>

#include "base/fd.h"
#include "base/proc_text.h"
#include "devices/net/slirp_library.h"
#include "vmm/kvm/kvm_system.h"

namespace stasis::vmm {

static_assert(kKvmApiVersion == KVM_API_VERSION);

namespace {

constexpr const char* kKvmDevice = "/dev/kvm";

/// The first 64 KiB of a small system file; empty when it cannot be read.
std::string read_text(const char* path) {
  std::string text;
  const auto fd = base::open_file(path, O_RDONLY);
  if (!fd) return text;
  std::array<char, 4096> part;
  ssize_t count = 0;
  while (text.size() < 65536 && (count = ::read(fd->get(), part.data(), part.size())) > 0) {
    text.append(part.data(), static_cast<std::size_t>(count));
  }
  return text;
}

KvmFacts probe_kvm() {
  KvmFacts facts;
  facts.exists = ::access(kKvmDevice, F_OK) == 0;
  const base::Fd fd(::open(kKvmDevice, O_RDWR | O_CLOEXEC));
  facts.open_error = fd.is_open() ? 0 : errno;
  if (!fd.is_open()) return facts;
  const int version = kvm_ioctl(fd, KVM_GET_API_VERSION, 0UL);
  if (version < 0) return facts;
  facts.api_version = version;
  facts.kind = kind_of_cpu_flags(read_text("/proc/cpuinfo"));
  for (const RequiredCapability& capability : required_capabilities()) {
    const auto number = static_cast<unsigned long>(capability.number);
    if (kvm_ioctl(fd, KVM_CHECK_EXTENSION, number) <= 0) {
      facts.missing_capabilities.emplace_back(capability.name);
    }
  }
  return facts;
}

/// A userfaultfd that also sees faults the kernel takes on a guest's behalf: by the system call,
/// or by the device for users the sysctl keeps out (kernel Documentation/admin-guide/mm/
/// userfaultfd.rst). errno on failure.
base::Fd open_userfaultfd() {
  base::Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
  if (fd.is_open()) return fd;
  const int first_error = errno;
  const base::Fd device(::open("/dev/userfaultfd", O_RDWR | O_CLOEXEC));
  if (device.is_open()) {
    return base::Fd(::ioctl(device.get(), USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));
  }
  errno = first_error;
  return {};
}

UserfaultFacts probe_userfault() {
  const base::Fd fd = open_userfaultfd();
  if (!fd.is_open()) {
    return errno == ENOSYS ? UserfaultFacts::kAbsent : UserfaultFacts::kForbidden;
  }
  uffdio_api api{};
  api.api = UFFD_API;
  api.features = UFFD_FEATURE_PAGEFAULT_FLAG_WP;
  const bool has_write_protect = ::ioctl(fd.get(), UFFDIO_API, &api) == 0;
  return has_write_protect ? UserfaultFacts::kUsable : UserfaultFacts::kNoWriteProtect;
}

/// The word in brackets: "always [madvise] never" is "madvise".
std::string chosen_word(const std::string& text) {
  const auto open = text.find('[');
  const auto close = text.find(']');
  if (open == std::string::npos || close == std::string::npos || close < open) return {};
  return text.substr(open + 1, close - open - 1);
}

int probe_io_uring() {
  io_uring_params params{};
  const base::Fd ring(static_cast<int>(::syscall(SYS_io_uring_setup, 1U, &params)));
  return ring.is_open() ? 0 : errno;
}

std::string nearest_existing(const std::string& path) {
  std::error_code error;
  std::filesystem::path folder = std::filesystem::absolute(path, error);
  while (!folder.empty() && folder != "/" && !std::filesystem::is_directory(folder, error)) {
    folder = folder.parent_path();
  }
  return folder.string();
}

/// Whether FICLONE can share blocks of two nameless files in `folder`.
std::optional<bool> probe_reflinks(const std::string& folder) {
  constexpr int kFlags = O_TMPFILE | O_RDWR | O_CLOEXEC;
  const base::Fd from(::open(folder.c_str(), kFlags, 0600));
  const base::Fd to(::open(folder.c_str(), kFlags, 0600));
  const std::array<char, 4096> block{};
  if (!from.is_open() || !to.is_open()) return std::nullopt;
  if (::write(from.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
    return std::nullopt;
  }
  return ::ioctl(to.get(), FICLONE, from.get()) == 0;
}

StorageFacts probe_storage(const std::string& root) {
  StorageFacts facts;
  facts.root = root;
  facts.existing = nearest_existing(root);
  facts.is_writable = ::access(facts.existing.c_str(), W_OK | X_OK) == 0;
  if (facts.is_writable) facts.has_reflinks = probe_reflinks(facts.existing);
  struct statvfs space {};
  if (::statvfs(facts.existing.c_str(), &space) == 0) {
    facts.free_bytes = std::uint64_t{space.f_bavail} * space.f_frsize;
  }
  return facts;
}

std::uint64_t memlock_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) != 0) return 0;
  return limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
}

}  // namespace

KvmKind kind_of_cpu_flags(const std::string& cpuinfo) {
  const auto start = cpuinfo.find("\nflags");
  if (start == std::string::npos) return KvmKind::kEmulating;
  const std::string line = cpuinfo.substr(start, cpuinfo.find('\n', start + 1) - start) + " ";
  if (line.find(" vmx ") != std::string::npos) return KvmKind::kVmx;
  if (line.find(" svm ") != std::string::npos) return KvmKind::kSvm;
  return KvmKind::kEmulating;
}

std::optional<int> host_kvm_api_version() {
  const base::Fd fd(::open(kKvmDevice, O_RDWR | O_CLOEXEC));
  if (!fd.is_open()) return std::nullopt;
  const int version = kvm_ioctl(fd, KVM_GET_API_VERSION, 0UL);
  if (version < 0) return std::nullopt;
  return version;
}

std::uint64_t host_memory_bytes() {
  struct sysinfo info {};
  if (::sysinfo(&info) != 0) return 0;
  return std::uint64_t{info.totalram} * info.mem_unit;
}

HostFacts probe_host(const std::string& state_root) {
  HostFacts facts;
  facts.kvm = probe_kvm();
  facts.userfault = probe_userfault();
  facts.huge_pages = chosen_word(read_text("/sys/kernel/mm/transparent_hugepage/enabled"));
  facts.io_uring_error = probe_io_uring();
  facts.has_libslirp = devices::SlirpLibrary::load().has_value();
  facts.storage = probe_storage(state_root);
  facts.memlock_bytes = memlock_limit();
  facts.memory_bytes = host_memory_bytes();
  facts.available_bytes = base::proc_bytes(read_text("/proc/meminfo"), "MemAvailable").value_or(0);
  return facts;
}

}  // namespace stasis::vmm
