#include "devices/net/virtio_net.h"

#include <catch2/catch.hpp>
#include <deque>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/virtio_test_session.h"

namespace stasis::devices {
namespace {

using testing::Bytes;
using testing::config_value;
using testing::TestSession;
using Frame = std::vector<std::uint8_t>;

constexpr unsigned kNetRx = VirtioNet::kReceiveQueue;
constexpr unsigned kNetTx = VirtioNet::kTransmitQueue;

/// Keeps what the guest sends; offers frames as a real backend does.
class FakeBackend : public NetBackend {
 public:
  void send_frame(std::span<const std::uint8_t> frame) override {
    sent.emplace_back(frame.begin(), frame.end());
  }
  void set_receiver(FrameReceiver* to) override { receiver = to; }
  void room_again() override {
    while (!waiting.empty() && receiver->receive_frame(waiting.front())) waiting.pop_front();
  }

  std::vector<Frame> sent;
  std::deque<Frame> waiting;
  FrameReceiver* receiver = nullptr;
};

struct VirtioNetRig {
  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  FakeBackend backend;
  VirtioNet net{{*loop, backend}};
  TestSession session{net};

  void start() { net.start(session); }
};

Frame frame_of(std::size_t size, std::uint8_t fill = 0xA5) {
  return Frame(size, fill);
}

Bytes as_bytes(const Frame& frame) {
  const auto bytes = std::as_bytes(std::span(frame));
  return {bytes.begin(), bytes.end()};
}

TEST_CASE("net: the configuration shows address, link and MTU, then zeros (5.1.4)") {
  auto loop = EventLoop::create("test").value();
  FakeBackend backend;
  VirtioNet net({*loop, backend}, {.mac = {0x52, 0x54, 0, 1, 2, 3}, .mtu = 1400});
  CHECK(config_value(net, 0, 6) == 0x0302'0100'5452);
  CHECK(config_value(net, 6, 2) == VIRTIO_NET_S_LINK_UP);
  CHECK(config_value(net, 10, 2) == 1400);
  CHECK(config_value(net, 64, 8) == 0);
  CHECK(config_value(net, ~std::uint64_t{0}, 8) == 0);
}

TEST_CASE("net: the configuration cannot be written") {
  VirtioNetRig rig;
  const auto before = config_value(rig.net, 0, 8);
  rig.net.write_config(0, Bytes(8, std::byte{0xFF}));
  CHECK(config_value(rig.net, 0, 8) == before);
}

TEST_CASE("net: a sent frame reaches the backend without its header, whatever its buffers") {
  VirtioNetRig rig;
  rig.start();
  rig.session.driver(kNetTx).add({Bytes(12), as_bytes(frame_of(60, 1))});
  rig.session.driver(kNetTx).add(
      {Bytes(7), Bytes(5), as_bytes(frame_of(20, 2)), as_bytes(frame_of(9, 2))});
  rig.net.queue_kicked(kNetTx);
  REQUIRE(rig.backend.sent.size() == 2);
  CHECK(rig.backend.sent[0] == frame_of(60, 1));
  CHECK(rig.backend.sent[1] == frame_of(29, 2));
  CHECK(rig.session.driver(kNetTx).take_used()->written == 0);
  CHECK(rig.session.driver(kNetTx).take_used().has_value());
  CHECK(rig.session.interrupts(kNetTx) == 1);
}

TEST_CASE("net: frames that were queued before the start are sent") {
  VirtioNetRig rig;
  rig.session.driver(kNetTx).add({Bytes(12), as_bytes(frame_of(60))});
  rig.start();
  CHECK(rig.backend.sent.size() == 1);
}

TEST_CASE("net: the largest frame has the MTU, its header and a VLAN tag") {
  VirtioNetRig rig;
  rig.start();
  rig.session.driver(kNetTx).add({Bytes(12), as_bytes(frame_of(1518))});
  rig.net.queue_kicked(kNetTx);
  CHECK(rig.backend.sent.size() == 1);
}

TEST_CASE("net: frames too short or too long are dropped and their buffers returned") {
  VirtioNetRig rig;
  rig.start();
  const std::size_t size = GENERATE(0, 13, 1519, 100'000);
  rig.session.driver(kNetTx).add({Bytes(12), as_bytes(frame_of(size))});
  rig.net.queue_kicked(kNetTx);
  CHECK(rig.backend.sent.empty());
  CHECK(rig.session.driver(kNetTx).take_used().has_value());
}

TEST_CASE("net: a request with less than a header is dropped") {
  VirtioNetRig rig;
  rig.start();
  rig.session.driver(kNetTx).add({Bytes(11)});
  rig.session.driver(kNetTx).add({}, {100});
  rig.net.queue_kicked(kNetTx);
  CHECK(rig.backend.sent.empty());
  CHECK(rig.session.driver(kNetTx).take_used().has_value());
  CHECK(rig.session.driver(kNetTx).take_used().has_value());
}

TEST_CASE("net: a received frame follows a header that names one buffer (5.1.6.4)") {
  VirtioNetRig rig;
  rig.start();
  rig.session.driver(kNetRx).add({}, {1530});
  rig.net.queue_kicked(kNetRx);
  CHECK(rig.backend.receiver->receive_frame(frame_of(60, 7)));
  const auto used = rig.session.driver(kNetRx).take_used();
  REQUIRE(used.has_value());
  CHECK(used->written == 72);
  Bytes wanted(12);
  wanted[10] = std::byte{1};  // num_buffers
  const Bytes payload = as_bytes(frame_of(60, 7));
  wanted.insert(wanted.end(), payload.begin(), payload.end());
  CHECK(used->data == wanted);
  CHECK(rig.session.interrupts(kNetRx) == 1);
}

TEST_CASE("net: without a receive buffer a frame is refused, and taken when one comes") {
  VirtioNetRig rig;
  rig.start();
  CHECK_FALSE(rig.backend.receiver->receive_frame(frame_of(60)));
  CHECK_FALSE(rig.session.driver(kNetRx).kicks_suppressed());
  rig.backend.waiting.push_back(frame_of(60));
  rig.session.driver(kNetRx).add({}, {1530});
  rig.net.queue_kicked(kNetRx);
  CHECK(rig.backend.waiting.empty());
  CHECK(rig.session.driver(kNetRx).take_used()->written == 72);
}

TEST_CASE("net: receive buffers are no reason to kick while there are some") {
  VirtioNetRig rig;
  rig.session.driver(kNetRx).add({}, {1530});
  rig.start();
  CHECK(rig.session.driver(kNetRx).kicks_suppressed());
}

TEST_CASE("net: a frame that the next buffer cannot hold is dropped, its buffer returned empty") {
  VirtioNetRig rig;
  rig.start();
  rig.session.driver(kNetRx).add({}, {71});
  CHECK(rig.backend.receiver->receive_frame(frame_of(60)));
  CHECK(rig.session.driver(kNetRx).take_used()->written == 0);
}

TEST_CASE("net: frames are dropped before the driver is ready and after it is gone") {
  VirtioNetRig rig;
  CHECK(rig.backend.receiver->receive_frame(frame_of(60)));
  rig.start();
  rig.backend.waiting.push_back(frame_of(60));
  rig.net.stop();
  CHECK(rig.backend.waiting.empty());
  rig.session.driver(kNetTx).add({Bytes(12), as_bytes(frame_of(60))});
  rig.net.queue_kicked(kNetTx);
  CHECK(rig.backend.sent.empty());
}

TEST_CASE("net: a broken ring loses frames and nothing else") {
  VirtioNetRig rig;
  rig.start();
  rig.session.driver(kNetRx).set_available_index(0x4000);
  rig.session.driver(kNetTx).set_available_index(0x4000);
  rig.net.queue_kicked(kNetRx);
  rig.net.queue_kicked(kNetTx);
  CHECK(rig.backend.receiver->receive_frame(frame_of(60)));
  CHECK(rig.backend.sent.empty());
}

TEST_CASE("net: a destroyed card leaves the backend without a receiver") {
  auto loop = EventLoop::create("test").value();
  FakeBackend backend;
  { const VirtioNet net({*loop, backend}); }
  CHECK(backend.receiver == nullptr);
}

TEST_CASE("net: the state comes back from its bytes and into a new card") {
  auto loop = EventLoop::create("test").value();
  FakeBackend backend;
  const VirtioNetState state{.mac = {0x52, 0x54, 0, 9, 8, 7}, .status = 0, .mtu = 9000};
  CHECK(VirtioNet({*loop, backend}, state).save() == state);
  CHECK(VirtioNet({*loop, backend}).save() == VirtioNetState{});
  check_state_codec(state);
}

TEST_CASE("net: a state with a group address or an impossible MTU is refused") {
  const VirtioNetState bad = GENERATE(VirtioNetState{.mac = {0x01, 0, 0x5E, 0, 0, 1}},
                                      VirtioNetState{.mtu = 67}, VirtioNetState{.mtu = 9001});
  CHECK_FALSE(base::decode_state<VirtioNetState>(base::encode_state(bad)).has_value());
}

}  // namespace
}  // namespace stasis::devices
