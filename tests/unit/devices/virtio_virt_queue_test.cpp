#include "devices/virtio/virt_queue.h"

#include "tests/unit/devices/virtio_test_driver.h"

namespace stasis::devices {
namespace {

using testing::Bytes;
using testing::DriverQueue;
using testing::TestRam;
using testing::to_bytes;

struct Rings {
  explicit Rings(bool event_index = false, std::uint16_t size = 8)
      : driver(ram, size), queue(ram.memory(), event_index, driver.state()) {}
  TestRam ram;
  DriverQueue driver;
  VirtQueue queue;
};

Bytes read_all(const Rings& rings, const DescriptorChain& chain) {
  Bytes out(chain.readable_bytes());
  REQUIRE(chain.read(rings.ram.memory(), 0, out) == out.size());
  return out;
}

TEST_CASE("a request goes to the device and back with what it wrote") {
  Rings rings;
  const auto head = rings.driver.add({to_bytes("head"), to_bytes("er")}, {3, 10});
  const auto chain = rings.queue.pop();
  REQUIRE(chain);
  CHECK(chain->head == head);
  CHECK(read_all(rings, *chain) == to_bytes("header"));
  CHECK(chain->writable_bytes() == 13);
  CHECK(chain->write(rings.ram.memory(), 0, to_bytes("response")) == 8);
  rings.queue.push(*chain, 8);
  const auto used = rings.driver.take_used();
  REQUIRE(used);
  CHECK(used->head == head);
  CHECK(used->data == to_bytes("response"));
  CHECK_FALSE(rings.queue.pop());
}

TEST_CASE("chain copies start at an offset and stop at the end") {
  Rings rings;
  rings.driver.add({to_bytes("abc"), to_bytes("defg")}, {4});
  const auto chain = rings.queue.pop().value();
  Bytes out(10);
  CHECK(chain.read(rings.ram.memory(), 2, out) == 5);
  out.resize(5);
  CHECK(out == to_bytes("cdefg"));
  CHECK(chain.read(rings.ram.memory(), 7, out) == 0);
  CHECK(chain.write(rings.ram.memory(), 3, to_bytes("xy")) == 1);
}

TEST_CASE("indirect descriptors are followed (2.7.5.3)") {
  Rings rings;
  rings.driver.add({to_bytes("in"), to_bytes("direct")}, {5}, true);
  const auto chain = rings.queue.pop().value();
  CHECK(read_all(rings, chain) == to_bytes("indirect"));
  CHECK(chain.writable_bytes() == 5);
}

TEST_CASE("an indirect table may hold more entries than the ring") {
  Rings rings;
  rings.driver.add(std::vector<Bytes>(20, to_bytes("x")), {}, true);
  CHECK(rings.queue.pop()->readable.size() == 20);
}

TEST_CASE("indices wrap around many times") {
  Rings rings(true, 4);
  for (int i = 0; i < 70'000; ++i) {
    rings.driver.set_descriptor(0, {TestRam::kStart, 4, VRING_DESC_F_WRITE, 0});
    rings.driver.publish(0);
    const auto chain = rings.queue.pop();
    if (!chain) FAIL("request " << i << " got lost");
    rings.queue.push(*chain, 1);
    if (!rings.driver.take_used()) FAIL("answer " << i << " got lost");
  }
  CHECK(rings.queue.state().next_available == 70'000 % 65'536);
}

TEST_CASE("everything the device writes is marked dirty") {
  Rings rings;
  rings.driver.add({}, {100});
  const auto chain = rings.queue.pop().value();
  chain.write(rings.ram.memory(), 10, to_bytes("data"));
  rings.queue.push(chain, 14);
  CHECK(rings.ram.is_marked(chain.writable[0].address + 10, 4));
  CHECK(rings.ram.is_marked(rings.driver.used() + 4, 8));
  CHECK(rings.ram.is_marked(rings.driver.used() + 2, 2));
  CHECK_FALSE(rings.ram.is_marked(rings.driver.available(), 1));
  CHECK_FALSE(rings.ram.is_marked(rings.driver.descriptors(), 1));
}

TEST_CASE("rings that break the rules make the queue broken, for good") {
  Rings rings;
  const std::uint64_t ram = TestRam::kStart;
  const std::uint64_t end = rings.ram.end().value;
  SECTION("a head beyond the table") {
    rings.driver.publish(8);
  }
  SECTION("a next beyond the table") {
    rings.driver.set_descriptor(0, {ram, 1, VRING_DESC_F_NEXT, 8});
    rings.driver.publish(0);
  }
  SECTION("a loop") {
    rings.driver.set_descriptor(0, {ram, 1, VRING_DESC_F_NEXT, 1});
    rings.driver.set_descriptor(1, {ram, 1, VRING_DESC_F_NEXT, 0});
    rings.driver.publish(0);
  }
  SECTION("a loop of empty buffers") {
    rings.driver.set_descriptor(0, {ram, 0, VRING_DESC_F_NEXT, 0});
    rings.driver.publish(0);
  }
  SECTION("a buffer that ends outside RAM") {
    rings.driver.set_descriptor(0, {end - 1, 2, 0, 0});
    rings.driver.publish(0);
  }
  SECTION("a buffer that wraps around the address space") {
    rings.driver.set_descriptor(0, {~std::uint64_t{0}, 16, 0, 0});
    rings.driver.publish(0);
  }
  SECTION("readable after writable") {
    rings.driver.set_descriptor(0, {ram, 1, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1});
    rings.driver.set_descriptor(1, {ram, 1, 0, 0});
    rings.driver.publish(0);
  }
  SECTION("an available index further ahead than the ring is long") {
    rings.driver.set_descriptor(0, {ram, 1, 0, 0});
    rings.driver.set_available_index(9);
  }
  SECTION("an indirect table of half an entry") {
    rings.driver.set_descriptor(0, {ram, 24, VRING_DESC_F_INDIRECT, 0});
    rings.driver.publish(0);
  }
  SECTION("an empty indirect table") {
    rings.driver.set_descriptor(0, {ram, 0, VRING_DESC_F_INDIRECT, 0});
    rings.driver.publish(0);
  }
  SECTION("an indirect table outside RAM") {
    rings.driver.set_descriptor(0, {end, 16, VRING_DESC_F_INDIRECT, 0});
    rings.driver.publish(0);
  }
  SECTION("an indirect descriptor with a next") {
    rings.driver.set_descriptor(0, {ram, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 1});
    rings.driver.publish(0);
  }
  SECTION("an indirect table in an indirect table") {
    const auto table = rings.ram.allocate(16);
    rings.ram.poke_value(table, vring_desc{table.value, 16, VRING_DESC_F_INDIRECT, 0});
    rings.driver.set_descriptor(0, {table.value, 16, VRING_DESC_F_INDIRECT, 0});
    rings.driver.publish(0);
  }
  CHECK_FALSE(rings.queue.pop());
  CHECK(rings.queue.is_broken());
  CHECK_FALSE(rings.queue.is_ready());
  rings.driver.set_descriptor(3, {ram, 1, 0, 0});
  rings.driver.publish(3);
  CHECK_FALSE(rings.queue.pop());
}

TEST_CASE("a driver cannot have more requests outstanding than the ring has entries") {
  Rings rings;
  rings.driver.set_descriptor(0, {TestRam::kStart, 1, 0, 0});
  for (unsigned i = 0; i < rings.driver.size(); ++i) {
    rings.driver.publish(0);
    REQUIRE(rings.queue.pop());
  }
  rings.driver.publish(0);
  CHECK_FALSE(rings.queue.pop());
  CHECK(rings.queue.is_broken());
}

TEST_CASE("descriptors before an indirect one count too (2.7.5.3.2)") {
  Rings rings;
  const auto table = rings.ram.allocate(16);
  rings.ram.poke_value(table, vring_desc{TestRam::kStart, 7, VRING_DESC_F_WRITE, 0});
  rings.driver.set_descriptor(0, {TestRam::kStart, 5, VRING_DESC_F_NEXT, 4});
  rings.driver.set_descriptor(4, {table.value, 16, VRING_DESC_F_INDIRECT, 0});
  rings.driver.publish(0);
  const auto chain = rings.queue.pop().value();
  CHECK(chain.readable_bytes() == 5);
  CHECK(chain.writable_bytes() == 7);
}

TEST_CASE("what was taken before the queue broke may still be returned") {
  Rings rings;
  rings.driver.add({}, {4});
  const auto chain = rings.queue.pop().value();
  rings.driver.publish(99);
  CHECK_FALSE(rings.queue.pop());
  rings.queue.push(chain, 4);
  CHECK(rings.driver.take_used());
}

TEST_CASE("rings must be aligned, in RAM, and of a size that is a power of two") {
  TestRam ram;
  const VirtQueueState good = DriverQueue(ram, 8).state();
  REQUIRE(rings_are_valid(ram.memory(), true, good));
  const auto is_valid = [&](auto&& change) {
    VirtQueueState state = good;
    change(state);
    VirtQueue queue(ram.memory(), true, state);
    CHECK(queue.is_broken() != rings_are_valid(ram.memory(), true, state));
    CHECK_FALSE(queue.pop());
    return queue.is_ready();
  };
  CHECK(is_valid([](VirtQueueState&) {}));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.size = 0; }));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.size = 6; }));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.descriptor_table += 8; }));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.available_ring += 1; }));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.used_ring += 2; }));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.descriptor_table = 0; }));
  CHECK_FALSE(
      is_valid([&](VirtQueueState& state) { state.available_ring = ram.end().value - 20; }));
  CHECK(is_valid([&](VirtQueueState& state) { state.available_ring = ram.end().value - 22; }));
  CHECK_FALSE(is_valid([&](VirtQueueState& state) { state.used_ring = ram.end().value - 68; }));
  CHECK_FALSE(is_valid([](VirtQueueState& state) { state.used_ring = ~std::uint64_t{3}; }));
}

TEST_CASE("without event-idx the driver's flag decides about interrupts (2.7.7.2)") {
  Rings rings;
  CHECK_FALSE(rings.queue.take_interrupt());
  rings.queue.push(0, 0);
  CHECK(rings.queue.take_interrupt());
  CHECK_FALSE(rings.queue.take_interrupt());
  rings.driver.suppress_interrupts(true);
  rings.queue.push(0, 0);
  CHECK_FALSE(rings.queue.take_interrupt());
}

TEST_CASE("with event-idx an interrupt comes when the used index passes the event (2.7.7.2)") {
  Rings rings(true);
  rings.driver.suppress_interrupts(true);  // to be ignored
  rings.driver.set_used_event(2);
  rings.queue.push(0, 0);
  rings.queue.push(0, 0);
  CHECK_FALSE(rings.queue.take_interrupt());
  rings.queue.push(0, 0);
  CHECK(rings.queue.take_interrupt());
  rings.queue.push(0, 0);
  CHECK_FALSE(rings.queue.take_interrupt());
}

TEST_CASE("65536 answers without a look in between do ask for an interrupt") {
  Rings rings(true);
  rings.driver.set_used_event(40'000);
  for (int i = 0; i < 65'536; ++i) rings.queue.push(0, 0);
  CHECK(rings.queue.take_interrupt());
  CHECK_FALSE(rings.queue.take_interrupt());
}

TEST_CASE("kicks are switched by the flag without event-idx (2.7.10)") {
  Rings rings;
  rings.queue.disable_kicks();
  CHECK(rings.driver.kicks_suppressed());
  CHECK_FALSE(rings.queue.enable_kicks());
  CHECK_FALSE(rings.driver.kicks_suppressed());
  rings.queue.disable_kicks();
  rings.driver.add({to_bytes("x")});
  CHECK(rings.queue.enable_kicks());
}

TEST_CASE("with event-idx an empty queue asks for a kick with the next request") {
  Rings rings(true);
  for (int i = 0; i < 3; ++i) rings.driver.add({to_bytes("x")});
  while (rings.queue.pop()) {
  }
  CHECK(rings.driver.available_event() == 3);
  rings.queue.disable_kicks();
  rings.driver.add({to_bytes("x")});
  while (rings.queue.pop()) {
  }
  CHECK(rings.driver.available_event() == 3);
  CHECK_FALSE(rings.queue.enable_kicks());
  CHECK(rings.driver.available_event() == 4);
}

TEST_CASE("a queue built from a saved state goes on where the first one stopped") {
  Rings rings(true);
  rings.driver.add({to_bytes("first")});
  rings.driver.add({to_bytes("second")});
  rings.queue.push(rings.queue.pop().value(), 0);
  VirtQueue restored(rings.ram.memory(), true, rings.queue.state());
  CHECK(restored.state() == rings.queue.state());
  CHECK(read_all(rings, restored.pop().value()) == to_bytes("second"));
}

}  // namespace
}  // namespace stasis::devices
