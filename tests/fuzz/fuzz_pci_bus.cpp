#include "tests/fuzz/fuzz_pci_bus.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include <memory>
#include <vector>

#include "base/check.h"
#include "base/state_codec.h"
#include "devices/pci/pci_root.h"
#include "devices/virtio/virtio_pci.h"
#include "tests/fuzz/virtio_fuzz.h"
#include "tests/unit/devices/fake_interrupts.h"
#include "tests/unit/devices/virtio_echo_device.h"

namespace stasis::fuzz {

namespace {

using devices::EventLoop;
using devices::IoAccess;
using devices::PciRoot;
using devices::PciRootState;
using devices::VirtioPci;
using devices::VirtioPciState;
using devices::testing::EchoDevice;

constexpr std::uint64_t kRamStart = 0x1000;
constexpr std::size_t kRamSize = 0x4000;
constexpr std::uint64_t kWindow = 0xC000'0000;
constexpr std::uint64_t kFunctionInEcam = 0x8000;  // device 1

/// One function behind a root. The loop is not started: all happens in this thread.
struct Side {
  Side(const base::GuestMemory& memory, const PciRootState& root_state, VirtioPciState state,
       EchoDevice::State echo_state)
      : loop(EventLoop::create("fuzz").value()),
        device(*loop, std::move(echo_state)),
        root({kWindow, 0x1000'0000}, root_state),
        pci(VirtioPci::create({device, memory, vectors, doorbells}, std::move(state)).value()) {
    STASIS_CHECK(root.add(*pci));
  }

  std::unique_ptr<EventLoop> loop;
  devices::testing::FakeMsiVectors vectors;
  devices::testing::FakeDoorbells doorbells;
  EchoDevice device;
  PciRoot root;
  std::unique_ptr<VirtioPci> pci;
};

class Guest {
 public:
  explicit Guest(FuzzInput input)
      : input_(input),
        side_(std::make_unique<Side>(memory_, PciRootState{}, VirtioPciState{},
                                     EchoDevice::State{})) {
    STASIS_CHECK(side_->root.assign_bars());
    write_command();
  }

  void run() {
    while (!input_.is_empty()) step();
  }

 private:
  void write_command() {
    side_->root.ecam().write({kFunctionInEcam + PCI_COMMAND, 2},
                             PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  }

  void step() {
    switch (input_.take<std::uint8_t>() % 10) {
      case 0:
        return access(side_->root.ecam(), kFunctionInEcam + input_.take<std::uint8_t>());
      case 1:
        return access(side_->root.ports(), input_.take<std::uint8_t>() % 8);
      case 2:
        return access(side_->root.window(), input_.take<std::uint16_t>());
      case 3:
      case 4:
        return access(side_->root.window(), input_.take<std::uint8_t>() % 64);  // common
      case 5:
        return set_up_queue();
      case 6:
        return negotiate();
      case 7:
        return write_ram();
      case 8:
        side_->device.is_started() ? kick() : side_->pci->config_changed();
        return;
      default:
        return restore();
    }
  }

  void access(devices::IoHandler& handler, std::uint64_t offset) {
    const auto how = input_.take<std::uint8_t>();
    const IoAccess access{offset, 1U << how % 4};
    if ((how & 0x80) != 0) {
      handler.read(access);
    } else {
      handler.write(access, input_.take<std::uint64_t>() & devices::all_ones(access.width));
    }
  }

  void common(unsigned offset, unsigned width, std::uint64_t value) {
    side_->pci->write_bar(0, {offset, width}, value);
  }

  // Random bytes alone would hardly ever get past the handshake.
  void negotiate() {
    common(VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
    common(VIRTIO_PCI_COMMON_GF, 4, 1);
    common(VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
    common(VIRTIO_PCI_COMMON_GF, 4, input_.take<std::uint8_t>() % 2 == 0 ? 0 : 0x30000005);
    common(VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_FEATURES_OK);
  }

  void set_up_queue() {
    common(VIRTIO_PCI_COMMON_Q_SELECT, 2, input_.take<std::uint8_t>() % 3);
    common(VIRTIO_PCI_COMMON_Q_SIZE, 2, 1U << input_.take<std::uint8_t>() % 5);
    const std::uint64_t base = kRamStart + input_.take<std::uint8_t>() % 32 * 16;
    common(VIRTIO_PCI_COMMON_Q_DESCLO, 8, base);
    common(VIRTIO_PCI_COMMON_Q_AVAILLO, 8, base + 0x400);
    common(VIRTIO_PCI_COMMON_Q_USEDLO, 8, base + 0x800);
    common(VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
    if (input_.take<std::uint8_t>() % 2 != 0) {
      common(VIRTIO_PCI_COMMON_STATUS, 1, VIRTIO_CONFIG_S_DRIVER_OK);
    }
  }

  void write_ram() {
    const std::size_t at = input_.take<std::uint16_t>() % kRamSize;
    const std::size_t size = input_.take<std::uint8_t>();
    const auto contents = input_.take_bytes(std::min(size, kRamSize - at));
    memory_.write({kRamStart + at}, std::as_bytes(contents));
  }

  // What the eventfds would do on a running loop: switching bus mastering on looks at all queues.
  void kick() {
    auto& ecam = side_->root.ecam();
    const auto command = ecam.read({kFunctionInEcam + PCI_COMMAND, 2});
    ecam.write({kFunctionInEcam + PCI_COMMAND, 2}, command & ~std::uint64_t{PCI_COMMAND_MASTER});
    ecam.write({kFunctionInEcam + PCI_COMMAND, 2}, command | PCI_COMMAND_MASTER);
  }

  void restore() {
    const VirtioPciState saved = side_->pci->save();
    const PciRootState root = side_->root.save();
    const EchoDevice::State echo = side_->device.save();
    const auto decoded = base::decode_state<VirtioPciState>(base::encode_state(saved));
    STASIS_CHECK(decoded && *decoded == saved);
    side_ = std::make_unique<Side>(memory_, root, *decoded, echo);
    STASIS_CHECK(side_->pci->save() == saved);
    STASIS_CHECK(side_->root.save() == root);
    // Let the restored function start its device, as a resumed machine would.
    side_->loop->start();
    side_->loop->run_sync([] {});
    side_->loop->run_sync([] {});
    side_->loop->pause();
  }

  FuzzInput input_;
  std::vector<std::byte> ram_ = std::vector<std::byte>(kRamSize);
  base::GuestMemory memory_{{{{kRamStart}, ram_}}};
  std::unique_ptr<Side> side_;
};

}  // namespace

void fuzz_pci_bus(std::span<const std::uint8_t> bytes) {
  Guest(FuzzInput(bytes)).run();
}

}  // namespace stasis::fuzz
