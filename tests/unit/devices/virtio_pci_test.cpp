#include "devices/virtio/virtio_pci.h"

#include "tests/unit/devices/fake_interrupts.h"
#include "tests/unit/devices/virtio_echo_device.h"
#include "tests/unit/devices/virtio_pci_test_driver.h"

namespace stasis::devices {
namespace {

using namespace testing;

constexpr std::uint64_t kVersion1 = std::uint64_t{1} << VIRTIO_F_VERSION_1;

/// A function with an echo device behind it. The loop does not run unless a test starts it: then
/// whatever goes through it happens in the caller, and kicks wait.
struct Function {
  explicit Function(TestRam& shared_ram, VirtioPciState state = {},
                    EchoDevice::State echo_state = {})
      : ram(shared_ram),
        device(*loop, std::move(echo_state)),
        pci(VirtioPci::create({device, ram.memory(), vectors, doorbells}, std::move(state))
                .value()) {}

  TestRam& ram;
  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  FakeMsiVectors vectors;
  FakeDoorbells doorbells;
  EchoDevice device;
  std::unique_ptr<VirtioPci> pci;
};

struct Machine {
  TestRam ram;
  Function function{ram};
  VirtioPci& pci = *function.pci;
  EchoDevice& device = function.device;
  PciDriver driver{pci, ram};
};

TEST_CASE_METHOD(Machine, "a virtio function shows what Linux looks for (4.1.2)") {
  CHECK(driver.config(PCI_VENDOR_ID, 4) == 0x10441AF4);
  CHECK(driver.config(PCI_REVISION_ID, 1) == 1);
  CHECK(driver.config(PCI_SUBSYSTEM_VENDOR_ID, 2) == 0x1AF4);
  CHECK(driver.config(PCI_INTERRUPT_PIN, 1) == 0);
  for (std::uint8_t type = 1; type <= 5; ++type) CHECK(driver.capability(type) != 0);
  CHECK(driver.offset_of(VIRTIO_PCI_CAP_NOTIFY_CFG) == virtio_pci_layout::kNotify);
  CHECK(driver.config(driver.msix_capability() + 2U, 2) == 2);  // three vectors
  CHECK(driver.config(driver.msix_capability() + 4U, 4) == virtio_pci_layout::kMsixTable);
  CHECK(function.vectors.count() == 3);
}

TEST_CASE_METHOD(Machine, "the device's feature bits are offered, the transport's are its own") {
  CHECK(driver.device_features() == (0x5 | kTransportFeatures));
  driver.set_common(VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
  CHECK(driver.common(VIRTIO_PCI_COMMON_DF, 4) == 0);
}

TEST_CASE_METHOD(Machine, "FEATURES_OK is refused for bits not offered or without VERSION_1") {
  CHECK_FALSE(driver.negotiate(0x1));
  CHECK_FALSE(driver.negotiate(kVersion1 | 0x2));
  CHECK_FALSE(driver.negotiate(kVersion1 | std::uint64_t{1} << VIRTIO_F_RING_PACKED));
  CHECK(driver.negotiate(kVersion1 | 0x4));
  driver.set_driver_features(kVersion1 | 0x5);  // too late
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK(device.features() == (kVersion1 | 0x4));
}

TEST_CASE_METHOD(Machine, "DRIVER_OK without agreed features starts nothing") {
  driver.set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER_OK);
  CHECK(driver.status() == VIRTIO_CONFIG_S_ACKNOWLEDGE);
  CHECK(device.starts == 0);
}

TEST_CASE_METHOD(Machine, "queue registers show maxima, take legal sizes and freeze when enabled") {
  REQUIRE(driver.negotiate(kTransportFeatures));
  CHECK(driver.common(VIRTIO_PCI_COMMON_NUMQ, 2) == 2);
  driver.set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
  CHECK(driver.common(VIRTIO_PCI_COMMON_Q_SIZE, 2) == 16);
  for (const std::uint64_t size : {0, 7, 32, 0xFFFF}) {
    driver.set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, size);
    CHECK(driver.common(VIRTIO_PCI_COMMON_Q_SIZE, 2) == 16);
  }
  CHECK(driver.set_up_queue(0, 4));
  driver.set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
  driver.set_common(VIRTIO_PCI_COMMON_Q_USEDLO, 4, 0);
  CHECK(driver.common(VIRTIO_PCI_COMMON_Q_SIZE, 2) == 4);
  CHECK(driver.common(VIRTIO_PCI_COMMON_Q_USEDLO, 8) == driver.queue(0).used().value);
  driver.set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, 2);
  CHECK(driver.common(VIRTIO_PCI_COMMON_Q_SIZE, 2) == 0);
  driver.set_common(VIRTIO_PCI_COMMON_Q_SIZE, 2, 8);
}

TEST_CASE_METHOD(Machine, "a queue whose rings are not in RAM cannot be enabled") {
  REQUIRE(driver.negotiate(kTransportFeatures));
  driver.set_common(VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
  driver.set_common(VIRTIO_PCI_COMMON_Q_DESCLO, 8, ram.end().value);
  driver.set_common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
  CHECK(driver.common(VIRTIO_PCI_COMMON_Q_ENABLE, 2) == 0);
}

TEST_CASE_METHOD(Machine, "a vector beyond the table reads back as none (4.1.5.1.2)") {
  driver.set_common(VIRTIO_PCI_COMMON_MSIX, 2, 2);
  CHECK(driver.common(VIRTIO_PCI_COMMON_MSIX, 2) == 2);
  driver.set_common(VIRTIO_PCI_COMMON_MSIX, 2, 3);
  CHECK(driver.common(VIRTIO_PCI_COMMON_MSIX, 2) == VIRTIO_MSI_NO_VECTOR);
}

TEST_CASE_METHOD(Machine, "requests go through a running loop and interrupt the driver") {
  function.loop->start();
  driver.bring_up(2);
  CHECK(device.features() == kTransportFeatures);
  CHECK(function.vectors.at(1).routes == std::vector<MsiMessage>{{0xFEE00000, 0x41}});
  driver.queue(0).add({to_bytes("ping")}, {16});
  driver.kick(0);
  CHECK(driver.queue(0).wait_used().data == to_bytes("ping"));
  function.loop->run_sync([] {});
  CHECK(function.vectors.at(1).signals == 1);
  CHECK(function.vectors.at(2).signals == 0);
}

TEST_CASE_METHOD(Machine, "doorbells ring while the device runs, and move with the BAR") {
  driver.negotiate(kTransportFeatures);
  driver.set_up_queue(1);
  CHECK(function.doorbells.addresses().empty());
  driver.add_status(VIRTIO_CONFIG_S_DRIVER_OK);
  const std::uint64_t bell = PciDriver::kBar + driver.notify_offset(1);
  CHECK(function.doorbells.addresses() == std::vector{bell});
  pci.write_config({PCI_BASE_ADDRESS_0, 4}, PciDriver::kBar + 0x10000);
  CHECK(function.doorbells.addresses() == std::vector{bell + 0x10000});
  pci.write_config({PCI_COMMAND, 2}, 0);
  CHECK(function.doorbells.addresses().empty());
  CHECK_FALSE(pci.bar_address(0));
  pci.write_config({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  CHECK(function.doorbells.addresses() == std::vector{bell + 0x10000});
  driver.set_status(0);
  CHECK(function.doorbells.addresses().empty());
}

TEST_CASE_METHOD(Machine, "a doorbell and a refused doorbell both reach the device") {
  const bool refused = GENERATE(false, true);
  if (refused) function.doorbells.refuse();
  function.loop->start();
  driver.bring_up(1);
  driver.queue(0).add({to_bytes("x")}, {1});
  if (refused) {
    driver.kick(0);
  } else {
    CHECK(function.doorbells.ring(PciDriver::kBar + virtio_pci_layout::kNotify));
  }
  CHECK(driver.queue(0).wait_used().written == 1);
}

TEST_CASE_METHOD(Machine, "without bus mastering nothing is taken; switching it on catches up") {
  driver.bring_up(1);
  pci.write_config({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY);
  function.loop->start();
  driver.queue(0).add({to_bytes("late")}, {4});
  driver.kick(0);
  function.loop->run_sync([] {});
  CHECK(device.kicks == 0);
  pci.write_config({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  CHECK(driver.queue(0).wait_used().data == to_bytes("late"));
  CHECK(function.vectors.at(1).signals == 1);
}

TEST_CASE_METHOD(Machine,
                 "a reset stops the device and gives the registers back their first value") {
  const VirtioPciState before = pci.save();
  driver.bring_up(2);
  REQUIRE(device.is_started());
  driver.set_status(0);
  CHECK(device.stops == 1);
  CHECK(driver.status() == 0);
  CHECK(pci.save().registers == before.registers);
  CHECK(pci.save().msix.enabled);  // PCI's, not virtio's
  driver.bring_up(2);
  CHECK(device.starts == 2);
}

TEST_CASE_METHOD(Machine, "a queue that its driver broke asks for a reset (2.1.2)") {
  function.loop->start();
  driver.bring_up(1);
  driver.queue(0).publish(1000);
  driver.kick(0);
  function.loop->run_sync([] {});
  for (int i = 0; i < 3; ++i) function.loop->run_sync([] {});  // the kick may be polled later
  while ((driver.status() & VIRTIO_CONFIG_S_NEEDS_RESET) == 0) std::this_thread::yield();
  function.loop->run_sync([] {});
  CHECK(function.vectors.at(0).signals == 1);
  CHECK(pci.save().registers.queues[0].queue.broken);
  driver.set_status(0);
  CHECK(driver.status() == 0);
}

TEST_CASE_METHOD(Machine, "a configuration change counts up and interrupts a running driver") {
  pci.config_changed();
  CHECK(driver.common(VIRTIO_PCI_COMMON_CFGGENERATION, 1) == 1);
  CHECK(pci.save().registers.isr == 0);
  driver.bring_up(1);
  pci.config_changed();
  CHECK(function.vectors.at(0).signals == 1);
  const std::uint64_t isr = driver.offset_of(VIRTIO_PCI_CAP_ISR_CFG);
  CHECK(pci.read_bar(0, {isr, 1}) == VIRTIO_PCI_ISR_CONFIG);
  CHECK(pci.read_bar(0, {isr, 1}) == 0);
}

TEST_CASE_METHOD(Machine, "device configuration is read and written at any width") {
  const std::uint64_t at = driver.offset_of(VIRTIO_PCI_CAP_DEVICE_CFG);
  pci.write_bar(0, {at, 8}, 0x1122334455667788);
  pci.write_bar(0, {at + 2, 1}, 0xAA);
  CHECK(pci.read_bar(0, {at, 4}) == 0x55AA7788);
  CHECK(pci.read_bar(0, {at + 7, 4}) == 0x11);
}

TEST_CASE_METHOD(Machine, "the BAR can be reached through configuration space (4.1.4.9)") {
  const std::uint64_t at = driver.capability(VIRTIO_PCI_CAP_PCI_CFG);
  const auto aim = [&](std::uint64_t bar, std::uint64_t offset, std::uint64_t length) {
    pci.write_config({at + VIRTIO_PCI_CAP_BAR, 1}, bar);
    pci.write_config({at + VIRTIO_PCI_CAP_OFFSET, 4}, offset);
    pci.write_config({at + VIRTIO_PCI_CAP_LENGTH, 4}, length);
  };
  aim(0, VIRTIO_PCI_COMMON_MSIX, 2);
  pci.write_config({at + 16, 4}, 0xFFFF'0001);
  CHECK(driver.common(VIRTIO_PCI_COMMON_MSIX, 2) == 1);
  CHECK(pci.read_config({at + 16, 2}) == 1);
  aim(0, virtio_pci_layout::kBarSize - 2, 4);
  CHECK(pci.read_config({at + 16, 4}) == 0);
  aim(1, VIRTIO_PCI_COMMON_MSIX, 2);
  CHECK(pci.read_config({at + 16, 4}) == 0);
  aim(0, 0, 3);
  CHECK(pci.read_config({at + 16, 4}) == 0);
}

TEST_CASE_METHOD(Machine, "a saved function is restored equal, with requests in flight") {
  driver.bring_up(2);
  driver.queue(1).add({to_bytes("taken, not answered")});
  function.loop->start();
  driver.kick(1);
  bool taken = false;
  while (!taken) {
    function.loop->run_sync([&] { taken = !device.save().in_flight.empty(); });
  }
  function.loop->pause();
  REQUIRE(device.save().in_flight.size() == 1);
  driver.queue(0).add({to_bytes("kicked, not taken")}, {32});
  driver.kick(0);  // stays in the eventfd, which nobody saves

  const auto bytes = base::encode_state(pci.save());
  const auto decoded = base::decode_state<VirtioPciState>(bytes);
  REQUIRE(decoded);
  CHECK(*decoded == pci.save());

  Function restored(ram, *decoded, device.save());
  CHECK(restored.pci->save() == pci.save());
  CHECK(base::encode_state(restored.pci->save()) == bytes);
  CHECK_FALSE(restored.device.is_started());
  CHECK(restored.vectors.at(1).routes == function.vectors.at(1).routes);

  driver.moved_to(*restored.pci);
  restored.loop->start();
  CHECK(driver.queue(0).wait_used().data == to_bytes("kicked, not taken"));
  driver.queue(1).wait_used();
  restored.loop->run_sync([] {});
  CHECK(restored.device.kicks == 2);
  CHECK(restored.vectors.at(0).signals == 1);  // repeated: one may have been on its way
  CHECK(restored.vectors.at(2).signals >= 1);
  CHECK(restored.doorbells.addresses().size() == 2);
}

TEST_CASE_METHOD(Machine, "a started loop does not change what a restore gives back") {
  driver.bring_up(2);
  const VirtioPciState saved = pci.save();
  Function restored(ram, saved);
  restored.loop->start();
  while (restored.device.kicks < 2) std::this_thread::yield();
  restored.loop->pause();
  CHECK(restored.pci->save() == saved);
}

TEST_CASE_METHOD(Machine, "a state that does not fit the device is refused") {
  driver.bring_up(2);
  const VirtioPciState good = pci.save();
  const auto is_accepted = [&](auto&& change) {
    VirtioPciState state = good;
    change(state);
    auto loop = EventLoop::create("test").value();
    EchoDevice echo(*loop);
    FakeMsiVectors vectors;
    FakeDoorbells doorbells;
    return VirtioPci::create({echo, ram.memory(), vectors, doorbells}, state).has_value();
  };
  CHECK(is_accepted([](VirtioPciState&) {}));
  CHECK_FALSE(is_accepted([](VirtioPciState& s) { s.registers.queues.pop_back(); }));
  CHECK_FALSE(is_accepted([](VirtioPciState& s) { s.registers.queues[1].queue.size = 16; }));
  CHECK_FALSE(is_accepted([](VirtioPciState& s) { s.registers.queues[1].queue.size = 3; }));
  CHECK_FALSE(is_accepted([](VirtioPciState& s) { s.registers.driver_features |= 2; }));
  CHECK_FALSE(is_accepted([](VirtioPciState& s) { s.msix.entries.pop_back(); }));
}

TEST_CASE("destroying a function stops its device and takes its doorbells away") {
  TestRam ram;
  Function function(ram);
  function.loop->start();
  PciDriver driver(*function.pci, ram);
  driver.bring_up(2);
  function.pci.reset();
  CHECK(function.device.stops == 1);
  CHECK(function.doorbells.addresses().empty());
}

}  // namespace
}  // namespace stasis::devices
