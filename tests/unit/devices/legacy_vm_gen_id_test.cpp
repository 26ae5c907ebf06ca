#include "devices/legacy/vm_gen_id.h"

#include <catch2/catch.hpp>
#include <memory>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/legacy_fakes.h"

namespace stasis::devices {
namespace {

using Guid = std::array<std::uint8_t, 16>;

struct VmGenIdBench {
  static constexpr base::GuestAddress kAddress{0x1010};
  std::vector<std::byte> ram = std::vector<std::byte>(64);
  base::GuestMemory memory{{{base::GuestAddress{0x1000}, ram}}};
  FakeLine irq;
  FakeEvents events;
  AcpiPm pm{{irq, events}};

  std::unique_ptr<VmGenId> make(const VmGenIdState& state) {
    return std::make_unique<VmGenId>(VmGenId::Wiring{memory, kAddress, pm}, state);
  }
  Guid in_ram() const { return memory.load<Guid>(kAddress).value(); }
};

TEST_CASE("vmgenid: keeps the device contract") {
  VmGenIdBench bench;
  check_device_contract<VmGenId>([&](const auto& state) { return bench.make(state); },
                                 [](VmGenId& id) { REQUIRE(id.set_new_generation()); });
}

TEST_CASE("vmgenid: the guest's memory shows the state's GUID, without a notification") {
  VmGenIdBench bench;
  const VmGenIdState state = VmGenId::random_state().value();
  const auto id = bench.make(state);
  CHECK(bench.in_ram() == state.guid);
  CHECK_FALSE(bench.irq.level);
}

TEST_CASE("vmgenid: a new generation is another GUID in memory, and the guest is told") {
  VmGenIdBench bench;
  const auto id = bench.make(VmGenId::random_state().value());
  const Guid before = bench.in_ram();
  REQUIRE(id->set_new_generation());
  CHECK(bench.in_ram() != before);
  CHECK(bench.in_ram() == id->save().guid);
  CHECK(bench.irq.level);
  CHECK(in(bench.pm, AcpiPm::kEvents) == AcpiPm::kGenerationEvent);
}

TEST_CASE("vmgenid: only its 16 bytes are written") {
  VmGenIdBench bench;
  const auto id = bench.make(VmGenId::random_state().value());
  CHECK(bench.ram[0x0F] == std::byte{0});
  CHECK(bench.ram[0x20] == std::byte{0});
}

TEST_CASE("vmgenid: two machines start with different GUIDs") {
  CHECK(VmGenId::random_state().value() != VmGenId::random_state().value());
}

}  // namespace
}  // namespace stasis::devices
