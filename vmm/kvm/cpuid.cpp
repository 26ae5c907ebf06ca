#include "vmm/kvm/cpuid.h"

#include <asm/kvm_para.h>

#include <algorithm>
#include <array>
#include <bit>

#include "vmm/kvm/register_bit.h"

namespace stasis::vmm {
namespace {

using Entry = kvm_cpuid_entry2;
using Entries = std::vector<Entry>;

template <typename... Numbers>
constexpr std::uint32_t bits(Numbers... numbers) {
  return (register_bit(numbers) | ...);
}

Entry* find(Entries& entries, std::uint32_t leaf, std::uint32_t subleaf = 0) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const Entry& entry) {
    return entry.function == leaf && entry.index == subleaf;
  });
  return found == entries.end() ? nullptr : &*found;
}

bool is_amd(Entries& entries) {
  const Entry* vendor = find(entries, 0);
  // "Auth" of AuthenticAMD, "Hygo" of HygonGenuine
  return vendor != nullptr && (vendor->ebx == 0x6874'7541 || vendor->ebx == 0x6F67'7948);
}

void remove_leaf(Entries& entries, std::uint32_t leaf) {
  std::erase_if(entries, [leaf](const Entry& entry) { return entry.function == leaf; });
}

// --- Hidden by default ---------------------------------------------------------------------------

constexpr std::uint32_t kAmxStates = bits(17, 18);  // XTILECFG, XTILEDATA in XCR0

void hide_amx(Entries& entries) {
  if (Entry* features = find(entries, 7, 0)) features->edx &= ~bits(22, 24, 25);
  if (Entry* features = find(entries, 7, 1)) features->eax &= ~register_bit(21);
  if (Entry* xsave = find(entries, 0xD, 0)) xsave->eax &= ~kAmxStates;
  std::erase_if(entries, [](const Entry& entry) {
    return entry.function == 0x1D || entry.function == 0x1E ||
           (entry.function == 0xD && (entry.index == 17 || entry.index == 18));
  });
}

void hide_nested_virtualization(Entries& entries) {
  if (Entry* features = find(entries, 1)) features->ecx &= ~register_bit(5);            // VMX
  if (Entry* features = find(entries, 0x8000'0001)) features->ecx &= ~register_bit(2);  // SVM
  remove_leaf(entries, 0x8000'000A);
}

// --- The baseline model
// ----------------------------------------------------------------------------

// x86-64-v2 (System V ABI, x86-64 supplement, table 3.1) and what KVM itself provides. No XSAVE, so
// that the FPU state is the 512 bytes every host has.
constexpr std::uint32_t kBaseline1Ecx = bits(
    0, 9, 13, 19, 20, 21, 23, 24, 31);  // SSE3 SSSE3 CX16 SSE4.1 SSE4.2 x2APIC POPCNT deadline HV
constexpr std::uint32_t kBaseline1Edx =
    bits(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26, 28);
constexpr std::uint32_t kBaselineExtEcx = bits(0, 1);             // LAHF, CMP_LEGACY
constexpr std::uint32_t kBaselineExtEdx = bits(11, 20, 29);       // SYSCALL NX LM
constexpr std::uint32_t kBaselineExtEdxAmdAliases = 0x0183'F3FF;  // AMD repeats leaf 1 EDX here
constexpr std::uint32_t kBaselineMaxLeaf = 0xB;
constexpr std::uint32_t kBaselineMaxExtendedLeaf = 0x8000'0008;

void limit_to_baseline(Entries& entries) {
  const bool amd = is_amd(entries);
  if (Entry* features = find(entries, 1)) {
    features->ecx &= kBaseline1Ecx;
    features->edx &= kBaseline1Edx;
  }
  if (Entry* features = find(entries, 0x8000'0001)) {
    features->ecx &= kBaselineExtEcx;
    features->edx &= kBaselineExtEdx | (amd ? kBaselineExtEdxAmdAliases : 0);
  }
  if (Entry* sizes = find(entries, 0x8000'0008)) sizes->ebx = 0;
  if (Entry* vendor = find(entries, 0)) vendor->eax = std::min(vendor->eax, kBaselineMaxLeaf);
  if (Entry* vendor = find(entries, 0x8000'0000)) {
    vendor->eax = std::min(vendor->eax, kBaselineMaxExtendedLeaf);
  }
  std::erase_if(entries, [](const Entry& entry) {
    const bool beyond = entry.function < 0x4000'0000 && entry.function > kBaselineMaxLeaf;
    return beyond || entry.function > kBaselineMaxExtendedLeaf || entry.function == 5 ||
           entry.function == 6 || entry.function == 7 || entry.function == 0xA;
  });
}

// --- Topology
// --------------------------------------------------------------------------------------

unsigned id_bits(unsigned count) {
  return static_cast<unsigned>(std::bit_width(count - 1));
}

void set_basic_topology(Entries& entries, const CpuidRequest& request) {
  Entry* features = find(entries, 1);
  if (features == nullptr) return;
  features->ebx &= 0x0000'FFFF;
  features->ebx |= request.cpu << 24 | request.cpu_count << 16;
  features->edx =
      request.cpu_count > 1 ? features->edx | register_bit(28) : features->edx & ~register_bit(28);
  features->ecx |= register_bit(31);  // a hypervisor is present
  features->ecx |= register_bit(21);  // x2APIC: KVM's local APIC has it
  features->ecx &= ~register_bit(24);
  if (request.tsc_deadline) features->ecx |= register_bit(24);
}

/// Intel leaf 4 (and AMD's 0x8000'001D, same layout): who shares each cache, cores in the package.
void set_cache_sharing(Entries& entries, const CpuidRequest& request) {
  for (Entry& entry : entries) {
    if (entry.function != 4 && entry.function != 0x8000'001D) continue;
    const std::uint32_t level = entry.eax >> 5 & 7;
    const std::uint32_t sharing = level >= 3 ? request.cpu_count - 1 : 0;
    entry.eax = (entry.eax & 0x0000'3FFF) | sharing << 14;
    if (entry.function == 4) entry.eax |= (request.cpu_count - 1) << 26;
  }
}

Entry topology_level(std::uint32_t leaf, std::uint32_t level, const CpuidRequest& request) {
  constexpr std::uint32_t kTypes[] = {1, 2, 0};  // SMT, core, end of list
  Entry entry{};
  entry.function = leaf;
  entry.index = level;
  entry.flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
  entry.eax = level == 1 ? id_bits(request.cpu_count) : 0;
  entry.ebx = level == 0 ? 1 : level == 1 ? request.cpu_count : 0;
  entry.ecx = level | kTypes[level] << 8;
  entry.edx = request.cpu;
  return entry;
}

/// Leaf 0xB, and 0x1F only where the host has it, both with one SMT and one core level.
void set_extended_topology(Entries& entries, const CpuidRequest& request) {
  const Entry* vendor = find(entries, 0);
  const std::uint32_t max_leaf = vendor == nullptr ? 0 : vendor->eax;
  for (const std::uint32_t leaf : {0xBU, 0x1FU}) {
    remove_leaf(entries, leaf);
    if (leaf > max_leaf) continue;
    for (std::uint32_t level = 0; level < 3; ++level) {
      entries.push_back(topology_level(leaf, level, request));
    }
  }
}

void set_amd_topology(Entries& entries, const CpuidRequest& request) {
  remove_leaf(entries, 0x8000'0026);  // the host's dies and nodes are not the guest's
  if (Entry* sizes = find(entries, 0x8000'0008)) {
    sizes->ecx = id_bits(request.cpu_count) << 12 | (request.cpu_count - 1);
  }
  if (Entry* ids = find(entries, 0x8000'001E)) {
    ids->eax = request.cpu;  // extended APIC id
    ids->ebx = request.cpu;  // core id, one thread a core
    ids->ecx = 0;            // one node
  }
  if (Entry* features = find(entries, 0x8000'0001)) {
    features->ecx =
        request.cpu_count > 1 ? features->ecx | register_bit(1) : features->ecx & ~register_bit(1);
  }
}

/// KVM's own leaves (0x4000'0000, 0x4000'0001) and no other hypervisor's: EAX of the first is the
/// largest of them, which old hosts leave at zero.
void set_hypervisor_leaves(Entries& entries) {
  std::erase_if(entries, [](const Entry& entry) {
    return entry.function > KVM_CPUID_FEATURES && entry.function < 0x8000'0000 &&
           entry.function >= KVM_CPUID_SIGNATURE;
  });
  if (Entry* signature = find(entries, KVM_CPUID_SIGNATURE)) signature->eax = KVM_CPUID_FEATURES;
}

}  // namespace

std::vector<kvm_cpuid_entry2> make_guest_cpuid(const std::vector<kvm_cpuid_entry2>& supported,
                                               const CpuidRequest& request) {
  Entries entries = supported;
  hide_amx(entries);
  hide_nested_virtualization(entries);
  set_hypervisor_leaves(entries);
  if (request.model == CpuModel::kBaseline) limit_to_baseline(entries);
  set_basic_topology(entries, request);
  set_cache_sharing(entries, request);
  set_extended_topology(entries, request);
  if (is_amd(entries)) set_amd_topology(entries, request);
  return entries;
}

}  // namespace stasis::vmm
