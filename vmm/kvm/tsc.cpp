#include "vmm/kvm/tsc.h"

#include <fmt/format.h>
#include <x86intrin.h>

#include "vmm/kvm/msrs.h"

namespace stasis::vmm {
namespace {

constexpr std::uint64_t kTolerancePpm = 250;

__extension__ using Wide = __int128;

/// The host's counter at the guest's rate.
std::uint64_t scaled(std::uint64_t host_moment, std::uint32_t khz, const TscFacts& facts) {
  if (khz == facts.host_khz || facts.host_khz == 0) return host_moment;
  return static_cast<std::uint64_t>(Wide{host_moment} * khz / facts.host_khz);
}

kvm_device_attr offset_attribute(const std::uint64_t& value) {
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<std::uint64_t>(&value);
  return attribute;
}

}  // namespace

std::uint64_t host_tsc() {
  return __rdtsc();
}

std::int64_t tsc_counts(std::int64_t nanoseconds, std::uint32_t khz) {
  return static_cast<std::int64_t>(Wide{nanoseconds} * khz / 1'000'000);
}

base::Result<TscFacts> probe_tsc(const KvmVm& vm, const KvmVcpu& vcpu) {
  const int khz = kvm_ioctl(vcpu.fd(), KVM_GET_TSC_KHZ, 0UL);
  if (khz <= 0) return base::fail(base::errno_error("KVM_GET_TSC_KHZ"));
  const std::uint64_t offset = 0;
  const auto attribute = offset_attribute(offset);
  return TscFacts{.host_khz = static_cast<std::uint32_t>(khz),
                  .can_scale = vm.check(KVM_CAP_TSC_CONTROL) > 0,
                  .has_offset = kvm_ioctl(vcpu.fd(), KVM_HAS_DEVICE_ATTR, &attribute) == 0};
}

base::Result<TscReading> read_tsc(const KvmVcpu& vcpu, const TscFacts& facts,
                                  std::uint64_t host_moment) {
  const int rate = kvm_ioctl(vcpu.fd(), KVM_GET_TSC_KHZ, 0UL);
  if (rate <= 0) return base::fail(base::errno_error("KVM_GET_TSC_KHZ"));
  const auto khz = static_cast<std::uint32_t>(rate);
  if (facts.has_offset) {
    std::uint64_t offset = 0;
    const auto attribute = offset_attribute(offset);
    TRY(kvm_call(vcpu.fd(), KVM_GET_DEVICE_ATTR, "KVM_VCPU_TSC_OFFSET", &attribute));
    return TscReading{khz, scaled(host_moment, khz, facts) + offset};
  }
  const auto msr = TRY(read_msrs(vcpu, {kMsrTsc}));
  const std::uint64_t since = scaled(host_tsc() - host_moment, khz, facts);
  return TscReading{khz, msr.front().value - since};
}

base::Status set_tsc_rate(const KvmVcpu& vcpu, const TscFacts& facts, std::uint32_t khz) {
  if (khz == facts.host_khz) return {};
  if (facts.can_scale) {
    if (kvm_ioctl(vcpu.fd(), KVM_SET_TSC_KHZ, static_cast<unsigned long>(khz)) == 0) return {};
    return base::fail(base::errno_error("KVM_SET_TSC_KHZ"));
  }
  const std::uint64_t difference =
      khz > facts.host_khz ? khz - facts.host_khz : facts.host_khz - khz;
  if (difference * 1'000'000 <= kTolerancePpm * facts.host_khz) return {};
  return base::fail(base::ErrorKind::kUnsupported,
                    fmt::format("TSC: saved at {} kHz, this host's runs at {} kHz and its KVM "
                                "cannot scale it (KVM_CAP_TSC_CONTROL); restore on a host of the "
                                "same rate",
                                khz, facts.host_khz));
}

base::Status write_tsc(const KvmVcpu& vcpu, const TscFacts& facts, TscReading reading,
                       std::uint64_t host_moment) {
  if (facts.has_offset) {
    const std::uint64_t offset = reading.value - scaled(host_moment, reading.khz, facts);
    const auto attribute = offset_attribute(offset);
    return kvm_call(vcpu.fd(), KVM_SET_DEVICE_ATTR, "KVM_VCPU_TSC_OFFSET", &attribute);
  }
  // KVM takes writes that are less than a second from each other's line as synchronized.
  const std::uint64_t since = scaled(host_tsc() - host_moment, reading.khz, facts);
  return write_msrs(vcpu, {{kMsrTsc, reading.value + since}});
}

}  // namespace stasis::vmm
