#include "vmm/machine_state.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/unit/devices/golden.h"
#include "tests/unit/vmm/machine_state_sample.h"
#include "vmm/host_needs.h"
#include "vmm/machine_selftest.h"

namespace stasis::vmm {
namespace {

using devices::check_golden;
using Sections = std::vector<StateSection>;

StateSection& named(Sections& sections, const std::string& name) {
  return *std::find_if(sections.begin(), sections.end(),
                       [&name](const auto& section) { return section.name == name; });
}

base::Error refusal(const Sections& sections) {
  auto decoded = decode_machine_state(sections);
  REQUIRE_FALSE(decoded);
  return decoded.error();
}

TEST_CASE("golden: vm, vcpu, pci-root and virtio states") {
  check_golden(1, sample_vm());
  check_golden(1, sample_vcpu());
  check_golden(1, sample_machine().pci.root);
  check_golden(1, sample_transport());
  check_golden(1, devices::VirtioRngState{});
  check_golden(1, devices::VirtioBlkState{});
  check_golden(1, devices::VirtioNetState{{2, 0, 0, 0, 0, 9}, 1, 1400});
  check_golden(1, devices::VirtioConsoleState{132, 50, {'h', 'i'}});
  check_golden(1, host_needs(sample_machine()));
}

TEST_CASE("a machine's state survives its sections, in any order") {
  auto sections = encode_machine_state(sample_machine());
  CHECK(decode_machine_state(sections).value() == sample_machine());
  std::reverse(sections.begin(), sections.end());
  CHECK(decode_machine_state(sections).value() == sample_machine());
}

TEST_CASE("the names of the sections are part of the format") {
  std::string names;
  for (const auto& section : encode_machine_state(sample_machine())) names += section.name + " ";
  CHECK(names ==
        "machine vm vcpu.0 vcpu.1 uart_16550 i8042 cmos_rtc pvpanic acpi_pm vm_gen_id pci-root "
        "pci.1.virtio-rng pci.1.virtio-pci pci.2.virtio-blk pci.2.virtio-pci pci.3.virtio-net "
        "pci.3.virtio-pci pci.4.virtio-console pci.4.virtio-pci ");
}

TEST_CASE("a section that is missing, there twice or unknown is refused by name") {
  const Sections whole = encode_machine_state(sample_machine());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    Sections without = whole;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    CHECK(refusal(without).message() == "section \"" + whole[i].name + "\": missing");
    Sections doubled = whole;
    doubled.push_back(whole[i]);
    CHECK(refusal(doubled).message() ==
          "section \"" + whole[i].name + "\": unknown or there twice");
  }
  Sections more = whole;
  more.push_back({"hpet", {0xA0}});
  CHECK(refusal(more).message() == "section \"hpet\": unknown or there twice");
}

TEST_CASE("a section cut short, of another kind or of a newer build is refused by name") {
  const Sections whole = encode_machine_state(sample_machine());
  for (std::size_t i = 0; i < whole.size(); ++i) {
    INFO(whole[i].name);
    const auto is_named = [&](const base::Error& error) {
      return error.message().find("section \"" + whole[i].name + "\": ") == 0;
    };
    Sections cut = whole;
    while (!cut[i].cbor.empty()) {
      cut[i].cbor.resize(cut[i].cbor.size() - std::min<std::size_t>(cut[i].cbor.size(), 37));
      CHECK(is_named(refusal(cut)));
    }
    Sections swapped = whole;
    swapped[i].cbor = whole[(i + 3) % whole.size()].cbor;
    CHECK(is_named(refusal(swapped)));
    Sections newer = whole;
    REQUIRE(newer[i].cbor.back() < 0x17);  // the last member of the map is the version
    ++newer[i].cbor.back();
    CHECK(is_named(refusal(newer)));
    CHECK(refusal(newer).kind() == base::ErrorKind::kUnsupported);
  }
}

TEST_CASE("a machine of a shape that cannot be is refused") {
  MachineState state = sample_machine();
  SECTION("no vCPU") {
    state.vcpus.clear();
  }
  SECTION("too many vCPUs") {
    state.vcpus.resize(33, sample_vcpu());
  }
  SECTION("another layout") {
    state.layout = layout::kVersion + 1;
  }
  SECTION("more devices than a bus has") {
    state.pci.functions.resize(32, {devices::VirtioRngState{}, {}});
  }
  CHECK(refusal(encode_machine_state(state)).message().find("section \"machine\": machine: ") == 0);
}

TEST_CASE("a vCPU of a shape that cannot be is refused") {
  MachineState state = sample_machine();
  SECTION("XSAVE area too short") {
    state.vcpus[1].xsave.resize(4095);
  }
  SECTION("XSAVE area too long") {
    state.vcpus[1].xsave.resize(1 << 20);
  }
  SECTION("no CPUID") {
    state.vcpus[1].cpuid.clear();
  }
  SECTION("too much CPUID") {
    state.vcpus[1].cpuid.resize(257);
  }
  SECTION("an unknown run state") {
    state.vcpus[1].mp_state = 99;
  }
  SECTION("too many MSRs") {
    state.vcpus[1].msrs.resize(5000);
  }
  CHECK(refusal(encode_machine_state(state)).message().find("section \"vcpu.1\": vcpu: ") == 0);
}

TEST_CASE("a vCPU with a feature whose state is not saved is refused") {
  MachineState state = sample_machine();
  std::string name;
  SECTION("VMX") {
    state.vcpus[0].cpuid.push_back({1, 0, 0, 0, 0, 1U << 5, 0});
    name = "VMX";
  }
  SECTION("SVM") {
    state.vcpus[0].cpuid.push_back({0x8000'0001, 0, 0, 0, 0, 1U << 2, 0});
    name = "SVM";
  }
  SECTION("AMX") {
    state.vcpus[0].cpuid.push_back({7, 0, 1, 0, 0, 0, 1U << 24});
    name = "AMX";
  }
  const auto error = refusal(encode_machine_state(state));
  CHECK(error.kind() == base::ErrorKind::kUnsupported);
  CHECK(error.message().find("cpuid: shows " + name) != std::string::npos);
}

TEST_CASE("a device that this build does not have is refused by name") {
  Sections sections = encode_machine_state(sample_machine());
  auto& cbor = named(sections, "machine").cbor;
  const std::string kind = "virtio-rng";
  const auto found = std::search(cbor.begin(), cbor.end(), kind.begin(), kind.end());
  REQUIRE(found != cbor.end());
  *found = 'V';
  CHECK(refusal(sections).message() ==
        "section \"pci.1.Virtio-rng\": no such device in this build");
}

TEST_CASE("a difference is told by section and field") {
  const MachineState wanted = sample_machine();
  MachineState found = wanted;
  CHECK_FALSE(difference(found, wanted));
  SECTION("a byte of a structure") {
    found.vcpus[1].regs[16] ^= 1;
    CHECK(difference(found, wanted) == "section vcpu.1: fields: regs: byte 0x10: 0x10, not 0x11");
  }
  SECTION("a register") {
    found.vcpus[0].msrs[1].value = 2;
    CHECK(difference(found, wanted) ==
          "section vcpu.0: fields: msrs: 1 (index 0x6e0): value: 2, not 4886718345");
  }
  SECTION("a device more") {
    found.pci.functions.push_back({devices::VirtioRngState{}, {}});
    CHECK(difference(found, wanted) == "section machine: fields: functions: 5 items, not 4");
  }
  SECTION("one counter against the others") {
    found.vcpus[1].tsc += 1;
    CHECK(difference(found, wanted)->find("section vcpu.1: fields: tsc: ") == 0);
  }
  SECTION("nothing when only time went by") {
    for (auto& vcpu : found.vcpus) vcpu.tsc += 1000;
    found.vm.clock.guest_ns += 1000;
    CHECK_FALSE(difference(found, wanted));
  }
}

}  // namespace
}  // namespace stasis::vmm
