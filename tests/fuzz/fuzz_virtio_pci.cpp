#include "tests/fuzz/fuzz_virtio_pci.h"

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>

#include "base/check.h"
#include "devices/virtio/virtio_pci.h"
#include "devices/virtio/virtio_rng.h"
#include "tests/fuzz/virtio_fuzz.h"
#include "tests/unit/devices/fake_interrupts.h"

namespace stasis::fuzz {
namespace {

using namespace devices;

/// A virtio-rng function and its guest's 64 KiB of RAM.
class Function {
 public:
  Function(base::GuestMemory& memory, bool with_thread, VirtioPciState state = {})
      : rng_({*loop_}),
        pci_(VirtioPci::create({rng_, memory, vectors_, doorbells_}, std::move(state)).value()) {
    if (with_thread) loop_->start();
  }

  VirtioPci& pci() { return *pci_; }
  VirtioPciState save() {
    loop_->pause();
    VirtioPciState state = pci_->save();
    loop_->resume();
    return state;
  }

 private:
  std::unique_ptr<EventLoop> loop_ = EventLoop::create("fuzz").value();
  testing::FakeMsiVectors vectors_;
  testing::FakeDoorbells doorbells_;
  VirtioRng rng_;
  std::unique_ptr<VirtioPci> pci_;
};

IoAccess take_access(FuzzInput& input, std::uint64_t base, std::uint64_t size) {
  const unsigned width = 1U << input.take<std::uint8_t>() % 4;
  return {base + input.take<std::uint16_t>() % (size - width + 1), width};
}

std::uint64_t take_value(FuzzInput& input, unsigned width) {
  return input.take<std::uint64_t>() & all_ones(width);
}

void set_common(VirtioPci& pci, std::uint64_t offset, unsigned width, std::uint64_t value) {
  pci.write_bar(0, {virtio_pci_layout::kCommon + offset, width}, value);
}

/// What a driver does first (virtio 1.2, section 3.1.1), with a queue wherever the input says.
void bring_up(VirtioPci& pci, FuzzInput& input) {
  pci.write_config({PCI_COMMAND, 2}, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  unsigned status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
  set_common(pci, VIRTIO_PCI_COMMON_STATUS, 1, status);
  set_common(pci, VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
  set_common(pci, VIRTIO_PCI_COMMON_GF, 4, 1);  // VIRTIO_F_VERSION_1
  status |= VIRTIO_CONFIG_S_FEATURES_OK;
  set_common(pci, VIRTIO_PCI_COMMON_STATUS, 1, status);
  set_common(pci, VIRTIO_PCI_COMMON_Q_SELECT, 2, 0);
  set_common(pci, VIRTIO_PCI_COMMON_Q_DESCLO, 4, input.take<std::uint16_t>());
  set_common(pci, VIRTIO_PCI_COMMON_Q_AVAILLO, 4, input.take<std::uint16_t>());
  set_common(pci, VIRTIO_PCI_COMMON_Q_USEDLO, 4, input.take<std::uint16_t>());
  set_common(pci, VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
  set_common(pci, VIRTIO_PCI_COMMON_STATUS, 1, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

void step(VirtioPci& pci, base::GuestMemory& memory, FuzzInput& input) {
  using namespace virtio_pci_layout;
  switch (input.take<std::uint8_t>() % 7) {
    case 0: {
      const IoAccess access = take_access(input, 0, 256);
      return pci.write_config(access, take_value(input, access.width));
    }
    case 1:
      pci.read_config(take_access(input, 0, 4096));
      return;
    case 2: {
      const IoAccess access = take_access(input, kCommon, 0x40);
      return pci.write_bar(0, access, take_value(input, access.width));
    }
    case 3: {
      const IoAccess access = take_access(input, 0, kBarSize);
      return pci.write_bar(0, access, take_value(input, access.width));
    }
    case 4:
      pci.read_bar(0, take_access(input, 0, kBarSize));
      return;
    case 5:
      return bring_up(pci, input);
    default: {
      const auto place = input.take<std::uint16_t>();
      memory.write({place}, std::as_bytes(input.take_bytes(input.take<std::uint8_t>())));
      return pci.write_bar(0, {kNotify, 2}, 0);
    }
  }
}

}  // namespace

void fuzz_virtio_pci(std::span<const std::uint8_t> bytes) {
  std::vector<std::byte> ram(0x1'0000);
  base::GuestMemory memory({{{0}, ram}});
  FuzzInput input(bytes);
  const auto choice = input.take<std::uint8_t>();
  const bool with_thread = choice % 4 == 0;  // slower, and the queues are served
  VirtioPciState saved;
  {
    Function function(memory, with_thread);
    const unsigned steps = choice / 4;
    for (unsigned i = 0; i < steps && !input.is_empty(); ++i) step(function.pci(), memory, input);
    saved = function.save();
  }
  Function restored(memory, with_thread, saved);
  if (!with_thread) STASIS_CHECK(restored.save() == saved);
  while (!input.is_empty()) step(restored.pci(), memory, input);
}

}  // namespace stasis::fuzz
