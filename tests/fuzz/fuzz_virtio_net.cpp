#include "tests/fuzz/fuzz_virtio_net.h"

#include "base/check.h"
#include "devices/net/virtio_net.h"
#include "tests/fuzz/virtio_fuzz.h"

namespace stasis::fuzz {
namespace {

/// Checks what a card may hand to a network.
class CheckingBackend final : public devices::NetBackend {
 public:
  void send_frame(std::span<const std::uint8_t> frame) override {
    STASIS_CHECK(frame.size() >= ETH_HLEN && frame.size() <= 1518);
  }
  void set_receiver(devices::FrameReceiver* /*receiver*/) override {}
  void room_again() override {}
};

}  // namespace

void fuzz_virtio_net(std::span<const std::uint8_t> bytes) {
  const auto loop = devices::EventLoop::create("fuzz").value();
  FuzzInput input(bytes);
  CheckingBackend backend;
  devices::VirtioNet net({*loop, backend});
  FuzzGuest guest(2, input.take<std::uint8_t>() % 2 == 1);
  net.start(guest);
  while (!input.is_empty()) {
    if (drive(net, guest, input.take<std::uint8_t>() % 7, input)) continue;
    const std::vector<std::uint8_t> frame(input.take<std::uint16_t>() % 2048);
    net.receive_frame(frame);
  }
  STASIS_CHECK(net.save() == devices::VirtioNetState{});
  net.stop();
}

}  // namespace stasis::fuzz
