#include "cli/input_relay.h"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

namespace stasis::cli {
namespace {

/// Takes a limited number of bytes and keeps them.
class Receiver final : public devices::ByteReceiver {
 public:
  explicit Receiver(std::size_t room) : room_(room) {}

  std::size_t receive(std::span<const std::uint8_t> bytes) override {
    const std::size_t taken = std::min(bytes.size(), room_ - text.size());
    text.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    return taken;
  }
  void set_input_gate(devices::InputGate* new_gate) override { gate = new_gate; }

  std::string text;
  devices::InputGate* gate = nullptr;

 private:
  std::size_t room_;
};

class Gate final : public devices::InputGate {
 public:
  void room_again() override { ++calls; }
  int calls = 0;
};

std::size_t send(InputRelay& relay, const std::string& text) {
  const std::vector<std::uint8_t> bytes(text.begin(), text.end());
  return relay.receive(bytes);
}

TEST_CASE("without a machine nothing is taken") {
  InputRelay relay;
  CHECK(send(relay, "abc") == 0);
}

TEST_CASE("a machine takes what fits") {
  Receiver machine(2);
  InputRelay relay;
  relay.attach(machine);
  CHECK(send(relay, "abc") == 2);
  CHECK(machine.text == "ab");
}

TEST_CASE("input that waits is asked for when a machine comes") {
  Receiver machine(9);
  Gate gate;
  InputRelay relay;
  relay.set_input_gate(&gate);
  CHECK(gate.calls == 0);
  relay.attach(machine);
  CHECK(gate.calls == 1);
  CHECK(machine.gate == &gate);
}

TEST_CASE("a gate that is set later reaches the machine, and is taken away from it") {
  Receiver machine(9);
  Gate gate;
  InputRelay relay;
  relay.attach(machine);
  relay.set_input_gate(&gate);
  CHECK(machine.gate == &gate);
  relay.detach();
  CHECK(machine.gate == nullptr);
}

TEST_CASE("after a reboot the new machine takes the input") {
  Receiver first(9);
  Receiver second(9);
  InputRelay relay;
  relay.attach(first);
  send(relay, "a");
  relay.detach();
  CHECK(send(relay, "b") == 0);
  relay.attach(second);
  send(relay, "c");
  CHECK(first.text == "a");
  CHECK(second.text == "c");
}

}  // namespace
}  // namespace stasis::cli
