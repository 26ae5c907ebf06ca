#include "vmm/kvm/cpuid_check.h"

#include <asm/kvm_para.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>

#include "vmm/kvm/register_bit.h"

namespace stasis::vmm {
namespace {

using Register = std::uint32_t CpuidEntry::*;

/// 32 feature bits. Names as Linux prints them in /proc/cpuinfo, lowest bit first, "-" for one
/// without a name there.
struct FeatureWord {
  std::uint32_t leaf;
  std::uint32_t subleaf;
  const char* register_name;
  Register value;
  std::uint32_t ignored;  ///< bits that say nothing about the host
  const char* names;
};

// x2APIC, the deadline timer and "hypervisor" are KVM's own; OSXSAVE follows CR4.
constexpr std::uint32_t kIgnored1Ecx =
    register_bit(21) | register_bit(24) | register_bit(27) | register_bit(31);

// Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E; kernel
// Documentation/virt/kvm/x86/cpuid.rst.
constexpr FeatureWord kFeatures[] = {
    {1, 0, "ECX", &CpuidEntry::ecx, kIgnored1Ecx,
     "pni pclmulqdq dtes64 monitor ds_cpl vmx smx est tm2 ssse3 cid sdbg fma cx16 xtpr pdcm - pcid "
     "dca sse4_1 sse4_2 x2apic movbe popcnt tsc_deadline_timer aes xsave osxsave avx f16c rdrand"},
    {1, 0, "EDX", &CpuidEntry::edx, register_bit(28),
     "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - dts "
     "acpi mmx fxsr sse sse2 ss ht tm ia64 pbe"},
    {7, 0, "EBX", &CpuidEntry::ebx, 0,
     "fsgsbase tsc_adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm cqm - mpx rdt_a avx512f "
     "avx512dq rdseed adx smap avx512ifma - clflushopt clwb intel_pt avx512pf avx512er avx512cd "
     "sha_ni avx512bw avx512vl"},
    {7, 0, "ECX", &CpuidEntry::ecx, register_bit(4),
     "- avx512vbmi umip pku ospke waitpkg avx512_vbmi2 shstk gfni vaes vpclmulqdq avx512_vnni "
     "avx512_bitalg tme avx512_vpopcntdq - la57 - - - - - rdpid - bus_lock_detect cldemote - "
     "movdiri movdir64b enqcmd sgx_lc pks"},
    {7, 0, "EDX", &CpuidEntry::edx, 0,
     "- - avx512_4vnniw avx512_4fmaps fsrm uintr - - avx512_vp2intersect - md_clear - - - "
     "serialize - tsxldtrk - - arch_lbr ibt - amx_bf16 avx512_fp16 amx_tile amx_int8 spec_ctrl "
     "stibp flush_l1d arch_capabilities core_capabilities ssbd"},
    {7, 1, "EAX", &CpuidEntry::eax, 0, "- - - - avx_vnni avx512_bf16"},
    {7, 1, "EDX", &CpuidEntry::edx, 0, ""},
    {7, 2, "EDX", &CpuidEntry::edx, 0, ""},
    {0xD, 0, "EAX", &CpuidEntry::eax, 0, ""},
    {0xD, 0, "EDX", &CpuidEntry::edx, 0, ""},
    {0xD, 1, "EAX", &CpuidEntry::eax, 0, "xsaveopt xsavec xgetbv1 xsaves"},
    {0xD, 1, "ECX", &CpuidEntry::ecx, 0, ""},
    {KVM_CPUID_FEATURES, 0, "EAX", &CpuidEntry::eax, 0,
     "kvmclock nopiodelay mmu_op kvmclock2 async_pf steal_time pv_eoi pv_unhalt - pv_tlb_flush "
     "async_pf_vmexit pv_send_ipi poll_control pv_sched_yield async_pf_int"},
    {0x8000'0001, 0, "ECX", &CpuidEntry::ecx, register_bit(1),
     "lahf_lm cmp_legacy svm extapic cr8_legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop "
     "skinit wdt - lwp fma4 tce - nodeid_msr - tbm topoext perfctr_core perfctr_nb - bpext ptsc "
     "perfctr_llc mwaitx"},
    {0x8000'0001, 0, "EDX", &CpuidEntry::edx, 0,
     "fpu vme de pse tsc msr pae mce cx8 apic - syscall mtrr pge mca cmov pat pse36 - mp nx - "
     "mmxext mmx fxsr fxsr_opt pdpe1gb rdtscp - lm 3dnowext 3dnow"},
    {0x8000'0007, 0, "EDX", &CpuidEntry::edx, 0, "- - - - - - - - constant_tsc"},
    {0x8000'0008, 0, "EBX", &CpuidEntry::ebx, 0,
     "clzero irperf xsaveerptr - rdpru - - - - wbnoinvd - - ibpb - ibrs stibp"},
    {0x8000'0021, 0, "EAX", &CpuidEntry::eax, 0, ""},
};

const CpuidEntry* find(const std::vector<CpuidEntry>& entries, std::uint32_t leaf,
                       std::uint32_t subleaf) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const CpuidEntry& entry) {
    return entry.function == leaf && entry.index == subleaf;
  });
  return found == entries.end() ? nullptr : &*found;
}

std::uint32_t value_of(const std::vector<CpuidEntry>& entries, std::uint32_t leaf,
                       std::uint32_t subleaf, Register value) {
  const CpuidEntry* entry = find(entries, leaf, subleaf);
  return entry == nullptr ? 0 : entry->*value;
}

/// " (name)", or nothing.
std::string name_of(const FeatureWord& word, unsigned number) {
  std::string_view names = word.names;
  for (; number > 0 && !names.empty(); --number) {
    const auto space = names.find(' ');
    names = space == std::string_view::npos ? std::string_view() : names.substr(space + 1);
  }
  const std::string_view name = names.substr(0, names.find(' '));
  return name.empty() || name == "-" ? "" : fmt::format(" ({})", name);
}

std::string text_of_leaf(std::uint32_t leaf, std::uint32_t subleaf) {
  return subleaf == 0 ? fmt::format("CPUID leaf {:#x}", leaf)
                      : fmt::format("CPUID leaf {:#x} subleaf {}", leaf, subleaf);
}

base::Status missing(const std::string& item) {
  return base::fail(base::ErrorKind::kUnsupported,
                    fmt::format("{}: the guest was given it and this host's KVM does not offer it; "
                                "restore on a host with the same CPU features",
                                item));
}

base::Status check_features(const std::vector<CpuidEntry>& given,
                            const std::vector<CpuidEntry>& supported) {
  for (const FeatureWord& word : kFeatures) {
    const std::uint32_t there = value_of(supported, word.leaf, word.subleaf, word.value);
    const std::uint32_t lacking =
        value_of(given, word.leaf, word.subleaf, word.value) & ~there & ~word.ignored;
    if (lacking == 0) continue;
    const auto number = static_cast<unsigned>(std::countr_zero(lacking));
    return missing(fmt::format("{} {} bit {}{}", text_of_leaf(word.leaf, word.subleaf),
                               word.register_name, number, name_of(word, number)));
  }
  return {};
}

std::array<char, 12> vendor_of(const std::vector<CpuidEntry>& entries) {
  const CpuidEntry* entry = find(entries, 0, 0);
  std::array<char, 12> text{};
  if (entry == nullptr) return text;
  const std::array<std::uint32_t, 3> words{entry->ebx, entry->edx, entry->ecx};
  for (std::size_t i = 0; i < text.size(); ++i) {
    text[i] = static_cast<char>(words[i / 4] >> (8 * (i % 4)));
  }
  return text;
}

/// A field that counts something: the host may have more, not less.
struct Count {
  std::uint32_t leaf;
  Register value;
  unsigned shift;
  std::uint32_t mask;
  const char* what;
};

constexpr Count kCounts[] = {
    {0xA, &CpuidEntry::eax, 0, 0xFF, "EAX, version of performance monitoring"},
    {0xA, &CpuidEntry::eax, 8, 0xFF, "EAX, performance counters"},
    {0xA, &CpuidEntry::edx, 0, 0x1F, "EDX, fixed performance counters"},
    {0x8000'0008, &CpuidEntry::eax, 0, 0xFF, "EAX, physical address bits"},
};

base::Status check_counts(const std::vector<CpuidEntry>& given,
                          const std::vector<CpuidEntry>& supported) {
  for (const Count& count : kCounts) {
    const auto field = [&count](const std::vector<CpuidEntry>& entries) {
      return value_of(entries, count.leaf, 0, count.value) >> count.shift & count.mask;
    };
    if (field(given) <= field(supported)) continue;
    return base::fail(base::ErrorKind::kUnsupported,
                      fmt::format("CPUID leaf {:#x} {}: the guest was given {} and this host's KVM "
                                  "offers {}; restore on a host with the same CPU features",
                                  count.leaf, count.what, field(given), field(supported)));
  }
  return {};
}

}  // namespace

base::Status check_cpuid(const std::vector<CpuidEntry>& given,
                         const std::vector<CpuidEntry>& supported) {
  const auto wanted = vendor_of(given);
  const auto found = vendor_of(supported);
  if (wanted != found) {
    return base::fail(base::ErrorKind::kUnsupported,
                      fmt::format("CPU vendor: saved on \"{}\", this host is \"{}\"; restore on a "
                                  "host of the same vendor",
                                  std::string_view(wanted.data(), wanted.size()),
                                  std::string_view(found.data(), found.size())));
  }
  TRY(check_features(given, supported));
  return check_counts(given, supported);
}

}  // namespace stasis::vmm
