#include "vmm/kvm/kvm_system.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/ioctl.h>

#include <cerrno>

#include "vmm/kvm/kvm_list.h"

namespace stasis::vmm {
namespace {

constexpr unsigned kMaxCpuidEntries =
    256;  // what KVM itself allows at most (KVM_MAX_CPUID_ENTRIES)

base::Error open_error(const base::Error& error, const std::string& path) {
  switch (error.kind()) {
    case base::ErrorKind::kNotFound:
      return {base::ErrorKind::kNotFound,
              fmt::format("{}: not there; load it with: modprobe kvm_intel (or kvm_amd), and check "
                          "that virtualization is on in the firmware set-up",
                          path)};
    case base::ErrorKind::kPermissionDenied:
      return {base::ErrorKind::kPermissionDenied,
              fmt::format("{}: permission denied; join its group with: sudo usermod -aG kvm $USER "
                          "(then log in again)",
                          path)};
    default:
      return error.with_context("opening KVM");
  }
}

}  // namespace

int kvm_ioctl(const base::Fd& fd, unsigned long request, const void* argument) {
  return kvm_ioctl(fd, request, reinterpret_cast<unsigned long>(argument));
}

int kvm_ioctl(const base::Fd& fd, unsigned long request, unsigned long argument) {
  int result = -1;
  do {
    result = ::ioctl(fd.get(), request, argument);
  } while (result < 0 && errno == EINTR);
  return result;
}

base::Status kvm_call(const base::Fd& fd, unsigned long request, const char* what,
                      const void* argument) {
  if (kvm_ioctl(fd, request, argument) < 0) return base::fail(base::errno_error(what));
  return {};
}

const std::vector<RequiredCapability>& required_capabilities() {
  static const std::vector<RequiredCapability> kList = {
      {KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
      {KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
      {KVM_CAP_SET_IDENTITY_MAP_ADDR, "KVM_CAP_SET_IDENTITY_MAP_ADDR"},
      {KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
      {KVM_CAP_PIT2, "KVM_CAP_PIT2"},
      {KVM_CAP_PIT_STATE2, "KVM_CAP_PIT_STATE2"},
      {KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
      {KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
      {KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
      {KVM_CAP_IOEVENTFD_ANY_LENGTH, "KVM_CAP_IOEVENTFD_ANY_LENGTH"},
      {KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
      {KVM_CAP_MP_STATE, "KVM_CAP_MP_STATE"},
      {KVM_CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS"},
      {KVM_CAP_DEBUGREGS, "KVM_CAP_DEBUGREGS"},
      {KVM_CAP_XSAVE, "KVM_CAP_XSAVE"},
      {KVM_CAP_ADJUST_CLOCK, "KVM_CAP_ADJUST_CLOCK"},
      {KVM_CAP_GET_TSC_KHZ, "KVM_CAP_GET_TSC_KHZ"},
      {KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
  };
  return kList;
}

base::Result<KvmSystem> KvmSystem::open(const std::string& path) {
  auto fd = base::open_file(path, O_RDWR);
  if (!fd) return base::fail(open_error(fd.error(), path));
  KvmSystem system(std::move(*fd));
  const int version = kvm_ioctl(system.fd_, KVM_GET_API_VERSION, 0UL);
  if (version != KVM_API_VERSION) {
    return base::fail(base::ErrorKind::kUnsupported,
                      fmt::format("{}: API version {}, not {}; is it a KVM device?", path, version,
                                  KVM_API_VERSION));
  }
  for (const auto& capability : required_capabilities()) {
    if (system.check(capability.number) > 0) continue;
    return base::fail(base::ErrorKind::kUnsupported,
                      fmt::format("{}: this kernel's KVM lacks {}; Linux 5.10 or newer has it",
                                  path, capability.name));
  }
  return system;
}

int KvmSystem::check(int capability) const {
  const int result = kvm_ioctl(fd_, KVM_CHECK_EXTENSION, static_cast<unsigned long>(capability));
  return result < 0 ? 0 : result;
}

base::Result<base::Fd> KvmSystem::create_vm() const {
  base::Fd vm(kvm_ioctl(fd_, KVM_CREATE_VM, 0UL));
  if (!vm.is_open()) return base::fail(base::errno_error("KVM_CREATE_VM"));
  return vm;
}

base::Result<std::size_t> KvmSystem::run_size() const {
  const int size = kvm_ioctl(fd_, KVM_GET_VCPU_MMAP_SIZE, 0UL);
  if (size < 0) return base::fail(base::errno_error("KVM_GET_VCPU_MMAP_SIZE"));
  return static_cast<std::size_t>(size);
}

base::Result<std::vector<kvm_cpuid_entry2>> KvmSystem::supported_cpuid() const {
  KvmList<kvm_cpuid_entry2> list(kMaxCpuidEntries);
  TRY(kvm_call(fd_, kKvmGetSupportedCpuid, "KVM_GET_SUPPORTED_CPUID", list.data()));
  return list.entries();
}

}  // namespace stasis::vmm
