#include "vmm/kvm/msrs.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <span>

#include "vmm/kvm/kvm_list.h"

namespace stasis::vmm {
namespace {

constexpr std::size_t kMaxPerCall = 255;  // KVM's MAX_IO_MSRS is 256, exclusive

struct Range {
  std::uint32_t first;
  std::uint32_t last;
};

// State that KVM_GET_MSR_INDEX_LIST does not name. Intel SDM volume 4, table 2-2; KVM's own range:
// kernel Documentation/virt/kvm/x86/msr.rst.
constexpr Range kUnlisted[] = {
    {0x17A, 0x17B},              // IA32_MCG_STATUS, IA32_MCG_CTL
    {0x200, 0x20F},              // IA32_MTRR_PHYSBASE0 .. PHYSMASK7
    {0x250, 0x250},              // IA32_MTRR_FIX64K
    {0x258, 0x259},              // IA32_MTRR_FIX16K
    {0x268, 0x26F},              // IA32_MTRR_FIX4K
    {0x280, 0x29F},              // IA32_MC0_CTL2 .. MC31_CTL2
    {0x2FF, 0x2FF},              // IA32_MTRR_DEF_TYPE
    {0x400, 0x47F},              // machine-check banks
    {0x4B56'4D00, 0x4B56'4D08},  // clocks, steal time, asynchronous page faults, PV EOI, polling
};

// Named by that list, but not state of a guest of ours.
constexpr Range kNotState[] = {
    {kMsrTsc, kMsrTsc},
    {0x11, 0x12},                // second names of 0x4B564D00 and 0x4B564D01
    {0x480, 0x491},              // capabilities of VMX, which the CPUID hides
    {0x4000'0000, 0x4000'01FF},  // Hyper-V's, which the CPUID hides; one of them is a clock
};

bool is_state(std::uint32_t index) {
  return std::none_of(std::begin(kNotState), std::end(kNotState), [index](const Range& range) {
    return index >= range.first && index <= range.last;
  });
}

base::Result<std::vector<std::uint32_t>> list_of_kvm(const KvmSystem& system) {
  std::vector<std::uint32_t> list(1);  // the count, then the indices
  if (kvm_ioctl(system.fd(), kKvmGetMsrIndexList, list.data()) < 0 && errno != E2BIG) {
    return base::fail(base::errno_error("KVM_GET_MSR_INDEX_LIST"));
  }
  list.resize(1 + list.front());
  TRY(kvm_call(system.fd(), kKvmGetMsrIndexList, "KVM_GET_MSR_INDEX_LIST", list.data()));
  list.erase(list.begin());
  return list;
}

/// Reads from the front of `indices` on; the result ends before the first one that KVM refuses.
base::Result<std::vector<MsrValue>> read_some(const KvmVcpu& vcpu,
                                              std::span<const std::uint32_t> indices) {
  std::vector<kvm_msr_entry> wanted;
  wanted.reserve(indices.size());
  for (const std::uint32_t index : indices) wanted.push_back({index, 0, 0});
  KvmList<kvm_msr_entry> request{std::span<const kvm_msr_entry>(wanted)};
  const int taken = kvm_ioctl(vcpu.fd(), kKvmGetMsrs, request.data());
  if (taken < 0) return base::fail(base::errno_error("KVM_GET_MSRS"));
  const auto entries = request.entries();
  std::vector<MsrValue> values;
  values.reserve(indices.size());
  for (const auto& entry : std::span(entries).first(static_cast<std::size_t>(taken))) {
    values.push_back({entry.index, entry.data});
  }
  return values;
}

template <typename T>
std::span<const T> next_chunk(std::span<const T> left) {
  return left.first(std::min(left.size(), kMaxPerCall));
}

}  // namespace

base::Result<std::vector<std::uint32_t>> list_state_msrs(const KvmSystem& system) {
  std::vector<std::uint32_t> indices = TRY(list_of_kvm(system));
  std::erase_if(indices, [](std::uint32_t index) { return !is_state(index); });
  for (const Range& range : kUnlisted) {
    for (std::uint32_t i = range.first; i <= range.last; ++i) indices.push_back(i);
  }
  std::sort(indices.begin(), indices.end());
  indices.erase(std::unique(indices.begin(), indices.end()), indices.end());
  return indices;
}

base::Result<std::vector<std::uint32_t>> readable_msrs(const KvmVcpu& vcpu,
                                                       const std::vector<std::uint32_t>& indices) {
  std::vector<std::uint32_t> readable;
  std::span<const std::uint32_t> left(indices);
  while (!left.empty()) {
    const auto chunk = next_chunk(left);
    const auto values = TRY(read_some(vcpu, chunk));
    for (const MsrValue& msr : values) readable.push_back(msr.index);
    // A short count means that the next one was refused.
    left = left.subspan(std::min(chunk.size(), values.size() + 1));
  }
  return readable;
}

base::Result<std::vector<MsrValue>> read_msrs(const KvmVcpu& vcpu,
                                              const std::vector<std::uint32_t>& indices) {
  std::vector<MsrValue> values;
  values.reserve(indices.size());
  std::span<const std::uint32_t> left(indices);
  while (!left.empty()) {
    const auto chunk = next_chunk(left);
    const auto some = TRY(read_some(vcpu, chunk));
    if (some.size() < chunk.size()) {
      return base::fail(base::ErrorKind::kIo,
                        fmt::format("KVM does not tell MSR {:#x} any more", chunk[some.size()]));
    }
    values.insert(values.end(), some.begin(), some.end());
    left = left.subspan(chunk.size());
  }
  return values;
}

base::Status write_msrs(const KvmVcpu& vcpu, const std::vector<MsrValue>& values) {
  std::span<const MsrValue> left(values);
  while (!left.empty()) {
    const auto chunk = next_chunk(left);
    std::vector<kvm_msr_entry> entries;
    entries.reserve(chunk.size());
    for (const auto& msr : chunk) entries.push_back({msr.index, 0, msr.value});
    KvmList<kvm_msr_entry> request{std::span<const kvm_msr_entry>(entries)};
    const int taken = kvm_ioctl(vcpu.fd(), kKvmSetMsrs, request.data());
    if (taken < 0) return base::fail(base::errno_error("KVM_SET_MSRS"));
    if (static_cast<std::size_t>(taken) < chunk.size()) {
      const auto& refused = chunk[static_cast<std::size_t>(taken)];
      return base::fail(
          base::ErrorKind::kUnsupported,
          fmt::format("this host's KVM refuses MSR {:#x} = {:#x}", refused.index, refused.value));
    }
    left = left.subspan(chunk.size());
  }
  return {};
}

}  // namespace stasis::vmm
