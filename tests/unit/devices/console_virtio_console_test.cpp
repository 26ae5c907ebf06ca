#include "devices/console/virtio_console.h"

#include <catch2/catch.hpp>

#include "tests/unit/devices/device_contract.h"
#include "tests/unit/devices/virtio_test_session.h"

namespace stasis::devices {
namespace {

using testing::Bytes;
using testing::config_value;
using testing::TestSession;
using testing::to_bytes;
using testing::to_text;

constexpr unsigned kConsoleRx = VirtioConsole::kReceiveQueue;
constexpr unsigned kConsoleTx = VirtioConsole::kTransmitQueue;

struct ByteRecorder : ByteSink {
  void write(std::span<const std::uint8_t> bytes) override {
    text.append(bytes.begin(), bytes.end());
  }
  std::string text;
};

struct Gate : InputGate {
  void room_again() override { ++opened; }
  int opened = 0;
};

struct Notifier : ConfigChangeNotifier {
  void config_changed() override { ++changes; }
  int changes = 0;
};

struct VirtioConsoleRig {
  explicit VirtioConsoleRig(VirtioConsole::State state = {})
      : console({*loop, out}, std::move(state)) {}

  /// What is typed arrives in the guest with the loop's next turn.
  std::size_t type(std::string_view text) {
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
    const std::size_t taken = console.receive({bytes, text.size()});
    console.queue_kicked(kConsoleRx);
    return taken;
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  ByteRecorder out;
  VirtioConsole console;
  TestSession session{console};
};

TEST_CASE("virtio console: what the guest writes reaches the sink in order") {
  VirtioConsoleRig rig;
  rig.session.driver(kConsoleTx).add({to_bytes("hello, "), to_bytes("world")});
  rig.console.start(rig.session);
  rig.session.driver(kConsoleTx).add({Bytes(3000, std::byte{'x'})});
  rig.console.queue_kicked(kConsoleTx);
  CHECK(rig.out.text == "hello, world" + std::string(3000, 'x'));
  CHECK(rig.session.driver(kConsoleTx).take_used()->written == 0);
  CHECK(rig.session.interrupts(kConsoleTx) == 2);
}

TEST_CASE("virtio console: input fills the receive buffers and interrupts") {
  VirtioConsoleRig rig;
  rig.console.start(rig.session);
  rig.session.driver(kConsoleRx).add({}, {4});
  rig.session.driver(kConsoleRx).add({}, {64});
  CHECK(rig.type("abcdef") == 6);
  CHECK(to_text(rig.session.driver(kConsoleRx).take_used()->data) == "abcd");
  CHECK(to_text(rig.session.driver(kConsoleRx).take_used()->data) == "ef");
  CHECK(rig.session.interrupts(kConsoleRx) == 1);
}

TEST_CASE("virtio console: input reaches the guest without a kick, by the loop") {
  VirtioConsoleRig rig;
  rig.console.start(rig.session);
  rig.session.driver(kConsoleRx).add({}, {64});
  rig.loop->start();
  const std::uint8_t key = 'k';
  rig.console.receive({&key, 1});
  CHECK(to_text(rig.session.driver(kConsoleRx).wait_used().data) == "k");
  rig.loop->run_sync([&] { rig.console.stop(); });
}

TEST_CASE("virtio console: input waits for a driver and for its buffers") {
  VirtioConsoleRig rig;
  rig.type("early");
  rig.console.start(rig.session);
  rig.session.driver(kConsoleRx).add({}, {64});
  rig.console.queue_kicked(kConsoleRx);
  CHECK(to_text(rig.session.driver(kConsoleRx).take_used()->data) == "early");
}

TEST_CASE("virtio console: input beyond the limit is refused until the guest reads") {
  VirtioConsoleRig rig;
  Gate gate;
  rig.console.set_input_gate(&gate);
  rig.console.start(rig.session);
  CHECK(rig.type(std::string(5000, 'a')) == 4096);
  CHECK(rig.type("b") == 0);
  CHECK(gate.opened == 0);
  rig.session.driver(kConsoleRx).add({}, {10});
  rig.console.queue_kicked(kConsoleRx);
  CHECK(gate.opened == 1);
  CHECK(rig.type("b") == 1);
}

TEST_CASE("virtio console: a reset drops what was typed for the driver before") {
  VirtioConsoleRig rig;
  rig.console.start(rig.session);
  rig.type("secret");
  rig.console.stop();
  CHECK(rig.console.save() == VirtioConsoleState{});
}

TEST_CASE("virtio console: the emergency register writes one character at any time (5.3.4)") {
  VirtioConsoleRig rig;
  rig.console.write_config(8, to_bytes(std::string_view("!\0\0\0", 4)));
  CHECK(rig.out.text == "!");
}

TEST_CASE("virtio console: no other register can be written") {
  VirtioConsoleRig rig;
  const auto offset = GENERATE(as<std::uint64_t>{}, 0, 4, 9, 11, 12, ~std::uint64_t{0});
  rig.console.write_config(offset, Bytes(4, std::byte{0x41}));
  rig.console.write_config(8, {});
  CHECK(rig.out.text.empty());
  CHECK(rig.console.save() == VirtioConsoleState{});
}

TEST_CASE("virtio console: a new size is in the configuration and told once") {
  VirtioConsoleRig rig;
  Notifier notifier;
  rig.console.set_config_notifier(&notifier);
  rig.console.set_size(132, 50);
  rig.console.set_size(132, 50);
  CHECK(notifier.changes == 1);
  CHECK(config_value(rig.console, 0, 2) == 132);
  CHECK(config_value(rig.console, 2, 2) == 50);
  CHECK(config_value(rig.console, 4, 8) == 0);
  CHECK(config_value(rig.console, 12, 8) == 0);
}

TEST_CASE("virtio console: a driver that offers empty buffers without end does not hang the loop") {
  VirtioConsoleRig rig;
  rig.console.start(rig.session);
  for (int i = 0; i < 8; ++i) rig.session.driver(kConsoleRx).add({Bytes(1)});
  rig.type("a");
  for (int i = 0; i < 8; ++i) CHECK(rig.session.driver(kConsoleRx).take_used()->written == 0);
  CHECK(rig.console.save().input.size() == 1);
}

TEST_CASE("virtio console: a broken ring loses output and nothing else") {
  VirtioConsoleRig rig;
  rig.console.start(rig.session);
  rig.session.driver(kConsoleTx).set_available_index(0x4000);
  rig.session.driver(kConsoleRx).set_available_index(0x4000);
  rig.console.queue_kicked(kConsoleTx);
  CHECK(rig.type("abc") == 3);
  CHECK(rig.out.text.empty());
}

TEST_CASE("virtio console: the device contract") {
  auto loop = EventLoop::create("test").value();
  ByteRecorder out;
  check_device_contract<VirtioConsole>(
      [&](VirtioConsoleState state) {
        return std::make_unique<VirtioConsole>(VirtioConsole::Wiring{*loop, out}, std::move(state));
      },
      [](VirtioConsole& console) {
        console.set_size(1, 2);
        const std::array<std::uint8_t, 3> typed = {'a', 'b', 'c'};
        console.receive(typed);
      });
}

TEST_CASE("virtio console: a state with too much input is refused") {
  VirtioConsoleState state;
  state.input.resize(VirtioConsoleState::kMaxInput + 1);
  CHECK_FALSE(base::decode_state<VirtioConsoleState>(base::encode_state(state)).has_value());
}

}  // namespace
}  // namespace stasis::devices
