#include <algorithm>
#include <catch2/catch.hpp>

#include "devices/virtio/virtio_rng.h"
#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/virtio_test_session.h"

namespace stasis::devices {
namespace {

using testing::Bytes;
using testing::TestSession;

struct RngRig {
  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  VirtioRng rng{{*loop}};
  TestSession session{rng};
};

bool all_zero(const Bytes& bytes) {
  return std::ranges::all_of(bytes, [](std::byte value) { return value == std::byte{0}; });
}

TEST_CASE("rng: a request is filled to its end, across its buffers, and interrupts once") {
  RngRig rig;
  rig.session.driver(0).add({}, {16, 1000, 3});
  rig.rng.start(rig.session);
  const auto used = rig.session.driver(0).take_used();
  REQUIRE(used.has_value());
  CHECK(used->written == 1019);
  CHECK_FALSE(all_zero({used->data.begin(), used->data.begin() + 16}));
  CHECK_FALSE(all_zero({used->data.begin() + 16, used->data.begin() + 272}));
  CHECK_FALSE(all_zero({used->data.end() - 16, used->data.end()}));
  CHECK(rig.session.interrupts(0) == 1);
}

TEST_CASE("rng: two requests get different bytes") {
  RngRig rig;
  rig.rng.start(rig.session);
  rig.session.driver(0).add({}, {32});
  rig.session.driver(0).add({}, {32});
  rig.rng.queue_kicked(0);
  CHECK(rig.session.driver(0).take_used()->data != rig.session.driver(0).take_used()->data);
}

TEST_CASE("rng: one request gets 64 KiB at most") {
  RngRig rig;
  rig.session.driver(0).add({}, {100'000, 100'000});
  rig.rng.start(rig.session);
  CHECK(rig.session.driver(0).take_used()->written == 65'536);
}

TEST_CASE("rng: a request without room is returned empty") {
  RngRig rig;
  rig.session.driver(0).add({Bytes(64)});
  rig.rng.start(rig.session);
  CHECK(rig.session.driver(0).take_used()->written == 0);
}

TEST_CASE("rng: nothing is touched after stop") {
  RngRig rig;
  rig.rng.start(rig.session);
  rig.rng.stop();
  rig.session.driver(0).add({}, {32});
  rig.rng.queue_kicked(0);
  CHECK_FALSE(rig.session.driver(0).take_used().has_value());
}

TEST_CASE("rng: there is no configuration and no state") {
  RngRig rig;
  CHECK(testing::config_value(rig.rng, 0, 8) == 0);
  CHECK(rig.rng.save() == VirtioRng::State{});
  check_state_codec(rig.rng.save());
}

TEST_CASE("rng: after a full round the loop gets its turn, and the next round needs no kick") {
  RngRig rig;
  TestSession session(rig.rng, 256);
  rig.rng.start(session);
  for (int i = 0; i < 256; ++i) session.driver(0).add({}, {8});
  rig.rng.queue_kicked(0);
  for (int i = 0; i < 256; ++i) REQUIRE(session.driver(0).take_used().has_value());
  session.driver(0).add({}, {8});
  CHECK_FALSE(session.driver(0).take_used().has_value());
  CHECK(session.driver(0).kicks_suppressed());
  rig.loop->start();
  CHECK(session.driver(0).wait_used().written == 8);
  rig.loop->run_sync([&] { rig.rng.stop(); });
}

}  // namespace
}  // namespace stasis::devices
