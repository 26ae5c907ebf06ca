#include "vmm/kvm/cpuid.h"

#include <algorithm>
#include <catch2/catch.hpp>

namespace stasis::vmm {
namespace {

using KvmEntries = std::vector<kvm_cpuid_entry2>;

kvm_cpuid_entry2 entry(std::uint32_t leaf, std::uint32_t subleaf, std::uint32_t eax,
                       std::uint32_t ebx, std::uint32_t ecx, std::uint32_t edx) {
  kvm_cpuid_entry2 made{};
  made.function = leaf;
  made.index = subleaf;
  made.eax = eax;
  made.ebx = ebx;
  made.ecx = ecx;
  made.edx = edx;
  return made;
}

constexpr std::uint32_t kAll = 0xFFFF'FFFF;

KvmEntries host(bool amd) {
  return {
      amd ? entry(0, 0, 0x1F, 0x6874'7541, 0x444D'4163, 0x6974'6E65)
          : entry(0, 0, 0x1F, 0x756E'6547, 0x6C65'746E, 0x4965'6E69),
      entry(1, 0, 0xA20F10, 0x7F10'0800, kAll, kAll),
      entry(4, 0, 0x1C00'4121, 0, 0, 0),
      entry(4, 3, 0x1C03'C163, 0, 0, 0),
      entry(7, 0, 2, kAll, kAll, kAll),
      entry(7, 1, kAll, 0, 0, 0),
      entry(0xB, 0, 1, 2, 0x100, 77),
      entry(0xD, 0, 0x0006'0007, 0x2B00, 0x2B00, 0),
      entry(0xD, 17, 64, 2752, 0, 0),
      entry(0xD, 18, 8192, 2816, 2, 0),
      entry(0x1D, 0, 1, 0, 0, 0),
      entry(0x4000'0000, 0, 0, 0x4B4D'564B, 0x564B'4D56, 0x4D),
      entry(0x4000'0001, 0, 0x0100'7EFB, 0, 0, 0),
      entry(0x8000'0000, 0, 0x8000'0021, 0, 0, 0),
      entry(0x8000'0001, 0, 0, 0, kAll, kAll),
      entry(0x8000'0008, 0, 0x3030, 0x123, 0x7F, 0),
      entry(0x8000'000A, 0, 1, 16, 0, 0xFF),
      entry(0x8000'001E, 0, 77, 77, 77, 0),
      entry(0x8000'0026, 0, 77, 77, 77, 0),
  };
}

const kvm_cpuid_entry2* find(const KvmEntries& entries, std::uint32_t leaf, std::uint32_t sub = 0) {
  const auto found = std::find_if(entries.begin(), entries.end(), [&](const auto& item) {
    return item.function == leaf && item.index == sub;
  });
  return found == entries.end() ? nullptr : &*found;
}

KvmEntries guest(bool amd, CpuidRequest request) {
  return make_guest_cpuid(host(amd), request);
}

TEST_CASE("nested virtualization and AMX are hidden") {
  for (const bool amd : {false, true}) {
    const KvmEntries cpuid = guest(amd, {.cpu_count = 2});
    CHECK((find(cpuid, 1)->ecx & 1U << 5) == 0);
    CHECK((find(cpuid, 0x8000'0001)->ecx & 1U << 2) == 0);
    CHECK(find(cpuid, 0x8000'000A) == nullptr);
    CHECK((find(cpuid, 7)->edx & (1U << 22 | 1U << 24 | 1U << 25)) == 0);
    CHECK(find(cpuid, 0xD)->eax == 7);
    CHECK(find(cpuid, 0xD, 17) == nullptr);
    CHECK(find(cpuid, 0x1D) == nullptr);
  }
}

TEST_CASE("topology is one socket of one-thread cores, whatever the host is") {
  const KvmEntries cpuid = guest(true, {.cpu = 5, .cpu_count = 6});
  CHECK(find(cpuid, 1)->ebx >> 16 == (5U << 8 | 6U));
  CHECK(find(cpuid, 0xB, 0)->ebx == 1);
  CHECK(find(cpuid, 0xB, 1)->eax == 3);
  CHECK(find(cpuid, 0xB, 1)->ebx == 6);
  CHECK(find(cpuid, 0xB, 1)->edx == 5);
  CHECK(find(cpuid, 0xB, 2)->ecx == 2);
  CHECK(find(cpuid, 0x8000'0008)->ecx == (3U << 12 | 5U));
  CHECK(find(cpuid, 0x8000'001E)->eax == 5);
  CHECK(find(cpuid, 0x8000'001E)->ecx == 0);
  CHECK(find(cpuid, 0x8000'0026) == nullptr);
}

TEST_CASE("only the last-level cache is shared") {
  const KvmEntries cpuid = guest(false, {.cpu_count = 4});
  CHECK((find(cpuid, 4, 0)->eax >> 14 & 0xFFF) == 0);
  CHECK((find(cpuid, 4, 3)->eax >> 14 & 0xFFF) == 3);
  CHECK(find(cpuid, 4, 0)->eax >> 26 == 3);
}

TEST_CASE("the hypervisor leaves say where they end") {
  const KvmEntries cpuid = guest(false, {});
  CHECK(find(cpuid, 0x4000'0000)->eax == 0x4000'0001);
  CHECK((find(cpuid, 1)->ecx & 1U << 31) != 0);
}

TEST_CASE("the deadline timer is offered when KVM has it") {
  CHECK((find(guest(false, {.tsc_deadline = true}), 1)->ecx & 1U << 24) != 0);
  CHECK((find(guest(false, {.tsc_deadline = false}), 1)->ecx & 1U << 24) == 0);
}

TEST_CASE("the baseline has nothing beyond x86-64-v2") {
  for (const bool amd : {false, true}) {
    const KvmEntries cpuid =
        guest(amd, {.model = CpuModel::kBaseline, .cpu_count = 2, .tsc_deadline = true});
    const std::uint32_t ecx = find(cpuid, 1)->ecx;
    for (const unsigned needed : {0, 9, 13, 19, 20, 23}) CHECK((ecx & 1U << needed) != 0);
    for (const unsigned newer : {1, 12, 25, 26, 27, 28, 29, 30}) CHECK((ecx & 1U << newer) == 0);
    CHECK(find(cpuid, 7) == nullptr);
    CHECK(find(cpuid, 0xD) == nullptr);
    CHECK(find(cpuid, 0)->eax == 0xB);
    CHECK(find(cpuid, 0xB, 1) != nullptr);
    CHECK(find(cpuid, 0x8000'0000)->eax == 0x8000'0008);
    CHECK((find(cpuid, 0x8000'0001)->edx & 1U << 29) != 0);
  }
}

}  // namespace
}  // namespace stasis::vmm
