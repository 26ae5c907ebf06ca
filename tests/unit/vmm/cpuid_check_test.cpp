#include "vmm/kvm/cpuid_check.h"

#include <catch2/catch.hpp>

namespace stasis::vmm {
namespace {

using CpuidEntries = std::vector<CpuidEntry>;

constexpr CpuidEntry kIntel{0, 0, 0, 0x16, 0x756E'6547, 0x6C65'746E, 0x4965'6E69};
constexpr CpuidEntry kAmd{0, 0, 0, 0x10, 0x6874'7541, 0x444D'4163, 0x6974'6E65};

/// The error's text; empty when the host will do.
std::string refusal(const CpuidEntries& given, const CpuidEntries& supported) {
  const auto checked = check_cpuid(given, supported);
  if (checked) return "";
  CHECK(checked.error().kind() == base::ErrorKind::kUnsupported);
  return checked.error().message();
}

TEST_CASE("a host with the same features will do, and so will one with more") {
  const CpuidEntries given{kIntel, {1, 0, 0, 0, 0, 1, 1}, {7, 0, 1, 0, 1U << 5, 0, 0}};
  const CpuidEntries more{kIntel, {1, 0, 0, 0, 0, 3, 5}, {7, 0, 1, 0, 3U << 5, 7, 1}};
  CHECK(refusal(given, given).empty());
  CHECK(refusal(given, more).empty());
}

TEST_CASE("a missing feature is named by leaf, register, bit and name") {
  const CpuidEntries host{kIntel, {1, 0, 0, 0, 0, 0, 0}, {7, 0, 1, 0, 0, 0, 0}};
  CHECK(refusal({kIntel, {7, 0, 1, 0, 1U << 16, 0, 0}}, host)
            .find("CPUID leaf 0x7 EBX bit 16 (avx512f): ") == 0);
  CHECK(refusal({kIntel, {1, 0, 0, 0, 0, 1U << 30, 0}}, host)
            .find("CPUID leaf 0x1 ECX bit 30 (rdrand): ") == 0);
  CHECK(refusal({kIntel, {7, 1, 1, 1U << 4, 0, 0, 0}}, host)
            .find("CPUID leaf 0x7 subleaf 1 EAX bit 4 (avx_vnni): ") == 0);
  CHECK(refusal({kIntel, {0x8000'0001, 0, 0, 0, 0, 0, 1U << 20}}, host)
            .find("CPUID leaf 0x80000001 EDX bit 20 (nx): ") == 0);
  CHECK(refusal({kIntel, {0x8000'0021, 0, 0, 1U << 31, 0, 0, 0}}, host)
            .find("CPUID leaf 0x80000021 EAX bit 31: ") == 0);
}

TEST_CASE("bits that say nothing about the host are not asked of it") {
  const CpuidEntries host{kIntel, {1, 0, 0, 0, 0, 0, 0}};
  const std::uint32_t own = 1U << 21 | 1U << 24 | 1U << 27 | 1U << 31;
  CHECK(refusal({kIntel, {1, 0, 0, 0, 0xFFFF'0800, own, 1U << 28}}, host).empty());
}

TEST_CASE("another vendor is refused") {
  CHECK(
      refusal({kAmd}, {kIntel}) ==
      "CPU vendor: saved on \"AuthenticAMD\", this host is \"GenuineIntel\"; restore on a host of "
      "the same vendor");
}

TEST_CASE("fewer address bits or performance counters are refused") {
  const CpuidEntries given{
      kIntel, {0xA, 0, 0, 8U << 8 | 2, 0, 0, 4}, {0x8000'0008, 0, 0, 46, 0, 0, 0}};
  CpuidEntries host = given;
  host[1].eax = 4U << 8 | 2;
  CHECK(refusal(given, host)
            .find("CPUID leaf 0xa EAX, performance counters: the guest was given 8 "
                  "and this host's KVM offers 4") == 0);
  host = given;
  host[2].eax = 39;
  CHECK(refusal(given, host).find("CPUID leaf 0x80000008 EAX, physical address bits: ") == 0);
  host[2].eax = 52;
  CHECK(refusal(given, host).empty());
}

}  // namespace
}  // namespace stasis::vmm
