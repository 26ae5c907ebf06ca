#include "devices/block/virtio_blk.h"

#include <linux/virtio_blk.h>

#include <numeric>

#include "devices/block/layered_disk.h"
#include "tests/unit/devices/block_memory_image.h"
#include "tests/unit/devices/block_test_session.h"
#include "tests/unit/devices/block_test_support.h"
#include "tests/unit/devices/device_contract.h"

namespace stasis::devices {
namespace {

using namespace testing;

constexpr std::uint64_t kSectors = 2048;
constexpr std::uint64_t kWriteThrough = ~(std::uint64_t{1} << VIRTIO_BLK_F_FLUSH);

/// A device over an image in memory, on the test's thread.
struct Disk {
  explicit Disk(bool read_only = false, std::uint64_t features = ~std::uint64_t{0},
                unsigned queues = 1)
      : image(kSectors * 512, read_only),
        device({image, *loop, "disk0", queues}),
        session(device, ram, features) {}

  /// Offers a request, lets the image do what comes of it, and returns the status byte.
  unsigned run(const std::vector<Bytes>& readable, const std::vector<std::uint32_t>& writable) {
    // Allocated last of all buffers, in a piece of its own.
    const std::uint32_t last = writable.back();
    session.driver(0).add(readable, writable);
    const std::uint64_t piece = (last + 63) / 64 * 64;
    const base::GuestAddress status{ram.allocate(0).value - piece + last - 1};
    ram.poke_value<std::uint8_t>(status, 0xee);
    session.kick(0);
    image.complete(100);
    image.complete(100);  // the flush after a write
    used = session.driver(0).take_used().value();
    CHECK(ram.is_marked(status, 1));
    return ram.peek<std::uint8_t>(status);
  }

  DriverQueue::Used used;  ///< of the last `run`
  MarkedRam ram;
  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  MemoryImage image;
  VirtioBlk device;
  BlockSession session;
};

Bytes header(std::uint32_t type, std::uint64_t sector) {
  const virtio_blk_outhdr value{type, 0, sector};
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

Bytes range_of(std::uint64_t sector, std::uint32_t sectors, std::uint32_t flags = 0) {
  const virtio_blk_discard_write_zeroes value{sector, sectors, flags};
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return {bytes.begin(), bytes.end()};
}

Bytes operator+(Bytes first, const Bytes& second) {
  first.insert(first.end(), second.begin(), second.end());
  return first;
}

/// The configuration space as a driver reads it.
virtio_blk_config config_of(VirtioBlk& device) {
  virtio_blk_config config{};
  device.read_config(0, std::as_writable_bytes(std::span(&config, 1)));
  return config;
}

TEST_CASE("virtio-blk: the configuration describes the image") {
  Disk disk(false, ~std::uint64_t{0}, 3);
  const auto config = config_of(disk.device);
  CHECK(config.capacity == kSectors);
  CHECK(config.seg_max == 254);
  CHECK(config.blk_size == 512);
  CHECK(config.physical_block_exp == 3);
  CHECK(config.num_queues == 3);
  CHECK(config.write_zeroes_may_unmap == 1);
  CHECK(disk.device.queue_sizes() == std::vector<std::uint16_t>{256, 256, 256});
  CHECK(disk.device.device_type() == 2);
  std::array<std::byte, 4> beyond{std::byte{1}, std::byte{1}, std::byte{1}, std::byte{1}};
  disk.device.read_config(~std::uint64_t{0}, beyond);
  CHECK(beyond == std::array<std::byte, 4>{});
}

TEST_CASE("virtio-blk: a read-only image offers no changes and fails them") {
  Disk disk(true);
  const auto offered = disk.device.offered_features();
  CHECK((offered & std::uint64_t{1} << VIRTIO_BLK_F_RO) != 0);
  CHECK((offered & std::uint64_t{1} << VIRTIO_BLK_F_DISCARD) == 0);
  CHECK((offered & std::uint64_t{1} << VIRTIO_BLK_F_WRITE_ZEROES) == 0);
  CHECK(disk.run({header(VIRTIO_BLK_T_OUT, 0), pattern(512, 1)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({header(VIRTIO_BLK_T_DISCARD, 0), range_of(0, 8)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({header(VIRTIO_BLK_T_WRITE_ZEROES, 0), range_of(0, 8)}, {1}) ==
        VIRTIO_BLK_S_IOERR);
  CHECK(disk.image.seen().empty());
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, 0)}, {512, 1}) == VIRTIO_BLK_S_OK);
}

TEST_CASE("virtio-blk: what is written is read back, in any layout of buffers") {
  Disk disk;
  const Bytes data = pattern(3 * 512, 1);
  const auto [first, second] =
      std::pair{Bytes(data.begin(), data.begin() + 700), Bytes(data.begin() + 700, data.end())};
  const Bytes head = header(VIRTIO_BLK_T_OUT, 5);
  SECTION("each part in a buffer of its own") {
    CHECK(disk.run({head, data}, {1}) == VIRTIO_BLK_S_OK);
  }
  SECTION("header and data in one buffer") {
    CHECK(disk.run({head + data}, {1}) == VIRTIO_BLK_S_OK);
  }
  SECTION("header and data each in several") {
    CHECK(disk.run({Bytes(head.begin(), head.begin() + 3),
                    Bytes(head.begin() + 3, head.end()) + first, second},
                   {1}) == VIRTIO_BLK_S_OK);
  }
  CHECK(disk.used.written == 1);
  CHECK(std::equal(data.begin(), data.end(), disk.image.bytes().begin() + 5 * 512));
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, 5)}, {100, 1436, 1}) == VIRTIO_BLK_S_OK);
  CHECK(disk.used.data == data + Bytes{std::byte{VIRTIO_BLK_S_OK}});
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, 5)}, {1537}) == VIRTIO_BLK_S_OK);  // status in the same
  CHECK(disk.used.data == data + Bytes{std::byte{VIRTIO_BLK_S_OK}});
}

TEST_CASE("virtio-blk: requests outside the disk or of odd sizes are failed, not started") {
  Disk disk;
  const auto [sector, bytes] = GENERATE(table<std::uint64_t, std::uint32_t>({
      {kSectors, 512},
      {kSectors - 1, 1024},
      {~std::uint64_t{0}, 512},
      {std::uint64_t{1} << 55, 512},  // times 512 is zero in 64 bits
      {0, 511},
      {0, 513},
  }));
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, sector)}, {bytes, 1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.used.written == 1);
  CHECK(disk.run({header(VIRTIO_BLK_T_OUT, sector), pattern(bytes, 1)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.image.seen().empty());
}

TEST_CASE("virtio-blk: the last sector can be read, and nothing can be read at the end") {
  Disk disk;
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, kSectors - 1)}, {512, 1}) == VIRTIO_BLK_S_OK);
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, kSectors)}, {1}) == VIRTIO_BLK_S_OK);
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, kSectors + 1)}, {1}) == VIRTIO_BLK_S_IOERR);
}

TEST_CASE("virtio-blk: a chain without a whole header is failed") {
  Disk disk;
  CHECK(disk.run({}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({Bytes(15)}, {512, 1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.image.seen().empty());
}

TEST_CASE("virtio-blk: a chain without a status byte comes back with nothing done") {
  Disk disk;
  disk.session.driver(0).add({header(VIRTIO_BLK_T_OUT, 0), pattern(512, 1)});
  disk.session.kick(0);
  CHECK(disk.image.seen().empty());
  const auto used = disk.session.driver(0).take_used();
  REQUIRE(used.has_value());
  CHECK(used->written == 0);
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, 0)}, {512, 1}) == VIRTIO_BLK_S_OK);
}

TEST_CASE("virtio-blk: an unknown type is said to be unsupported") {
  Disk disk;
  CHECK(disk.run({header(VIRTIO_BLK_T_SECURE_ERASE, 0)}, {1}) == VIRTIO_BLK_S_UNSUPP);
  CHECK(disk.run({header(0xdeadbeef, 0)}, {512, 1}) == VIRTIO_BLK_S_UNSUPP);
}

TEST_CASE("virtio-blk: the serial number fills twenty bytes, or as many as there are") {
  Disk disk;
  Bytes serial = to_bytes("disk0");
  serial.resize(20);
  CHECK(disk.run({header(VIRTIO_BLK_T_GET_ID, 0)}, {20, 1}) == VIRTIO_BLK_S_OK);
  CHECK(disk.used.data == serial + Bytes(1));
  CHECK(disk.run({header(VIRTIO_BLK_T_GET_ID, 0)}, {3, 1}) == VIRTIO_BLK_S_OK);
  CHECK(disk.used.data == to_bytes("dis") + Bytes(1));
  CHECK(disk.run({header(VIRTIO_BLK_T_GET_ID, 0)}, {1}) == VIRTIO_BLK_S_OK);
}

TEST_CASE("virtio-blk: discard and write-zeroes pass on each of their ranges") {
  Disk disk;
  CHECK(disk.run({header(VIRTIO_BLK_T_DISCARD, 0), range_of(8, 16) + range_of(100, 1)}, {1}) ==
        VIRTIO_BLK_S_OK);
  CHECK(disk.run({header(VIRTIO_BLK_T_WRITE_ZEROES, 0),
                  range_of(0, 2) + range_of(4, 2, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)},
                 {1}) == VIRTIO_BLK_S_OK);
  CHECK(disk.image.seen() ==
        std::vector<MemoryImage::Seen>{{BlockOperation::kDiscard, 4096, 8192, false},
                                       {BlockOperation::kDiscard, 51200, 512, false},
                                       {BlockOperation::kWriteZeroes, 0, 1024, false},
                                       {BlockOperation::kWriteZeroes, 2048, 1024, true}});
}

TEST_CASE("virtio-blk: bad ranges are refused before any is started") {
  Disk disk;
  const Bytes discard = header(VIRTIO_BLK_T_DISCARD, 0);
  const Bytes good = range_of(0, 8);
  CHECK(disk.run({discard, good + range_of(kSectors, 1)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard, range_of(~std::uint64_t{0}, 8)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard, range_of(0, 0)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard, range_of(0, 0xffffffff)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard, good + Bytes(1)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard, Bytes(17 * 16)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({discard, range_of(0, 8, 1)}, {1}) == VIRTIO_BLK_S_UNSUPP);
  CHECK(disk.run({header(VIRTIO_BLK_T_WRITE_ZEROES, 0), range_of(0, 8, 2)}, {1}) ==
        VIRTIO_BLK_S_UNSUPP);
  CHECK(disk.image.seen().empty());
}

TEST_CASE("virtio-blk: host errors become I/O errors of the guest") {
  Disk disk;
  const int error = GENERATE(EIO, ENOSPC, EFBIG);
  disk.image.fail_with(error);
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, 0)}, {512, 1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({header(VIRTIO_BLK_T_OUT, 0), pattern(512, 1)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({header(VIRTIO_BLK_T_FLUSH, 0)}, {1}) == VIRTIO_BLK_S_IOERR);
  CHECK(disk.run({header(VIRTIO_BLK_T_DISCARD, 0), range_of(0, 1) + range_of(4, 1)}, {1}) ==
        VIRTIO_BLK_S_IOERR);
  disk.image.fail_with(0);
  CHECK(disk.run({header(VIRTIO_BLK_T_IN, 0)}, {512, 1}) == VIRTIO_BLK_S_OK);
}

TEST_CASE("virtio-blk: without the flush feature each change is flushed before it completes") {
  Disk write_through(false, kWriteThrough);
  Disk write_back;
  for (Disk* disk : {&write_through, &write_back}) {
    CHECK(disk->run({header(VIRTIO_BLK_T_OUT, 0), pattern(512, 1)}, {1}) == VIRTIO_BLK_S_OK);
    CHECK(disk->run({header(VIRTIO_BLK_T_IN, 0)}, {512, 1}) == VIRTIO_BLK_S_OK);
  }
  CHECK(write_back.image.seen().size() == 2);
  REQUIRE(write_through.image.seen().size() == 3);
  CHECK(write_through.image.seen()[1].operation == BlockOperation::kFlush);
}

TEST_CASE("virtio-blk: a batch costs one kick of the image and one interrupt") {
  Disk disk;
  for (int i = 0; i < 20; ++i) {
    disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1}, true);
  }
  disk.session.kick(0);
  CHECK(disk.image.in_flight() == 20);
  CHECK(disk.image.kicks() == 1);
  CHECK(disk.session.interrupts(0) == 0);
  disk.image.complete(20);
  CHECK(disk.session.interrupts(0) == 1);
  for (int i = 0; i < 20; ++i) CHECK(disk.session.driver(0).take_used().has_value());
}

TEST_CASE("virtio-blk: the pages of a read are marked at submission and again at completion") {
  Disk disk;
  const auto buffer = disk.ram.allocate(512);
  auto& driver = disk.session.driver(0);
  const auto head = header(VIRTIO_BLK_T_IN, 0);
  const auto header_at = disk.ram.allocate(16);
  disk.ram.poke(header_at, head);
  driver.set_descriptor(0, {header_at.value, 16, VRING_DESC_F_NEXT, 1});
  driver.set_descriptor(1, {buffer.value, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2});
  driver.set_descriptor(2, {disk.ram.allocate(1).value, 1, VRING_DESC_F_WRITE, 0});
  driver.publish(0);
  disk.session.kick(0);
  CHECK(disk.ram.is_marked(buffer, 512));
  disk.ram.forget_marks();  // as a round of a live capture does
  disk.image.complete(1);
  CHECK(disk.ram.is_marked_since(buffer));
}

TEST_CASE("virtio-blk: quiesce takes what is in the ring and finishes all of it") {
  Disk disk;
  auto& driver = disk.session.driver(0);
  driver.add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  disk.session.kick(0);
  driver.add({header(VIRTIO_BLK_T_IN, 1)}, {512, 1});  // the kick for this one comes too late
  CHECK(disk.session.quiesce());
  CHECK(disk.image.in_flight() == 0);
  CHECK(driver.take_used().has_value());
  CHECK(driver.take_used().has_value());
  CHECK(disk.session.interrupts(0) >= 1);
}

TEST_CASE("virtio-blk: while held it finishes what it has, and leaves the rest in the ring") {
  Disk disk;
  auto& driver = disk.session.driver(0);
  driver.add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  disk.session.kick(0);
  REQUIRE(disk.image.in_flight() == 1);
  CHECK(disk.session.hold());
  CHECK(driver.take_used().has_value());
  CHECK(disk.session.interrupts(0) == 1);
  driver.add({header(VIRTIO_BLK_T_IN, 1)}, {512, 1});
  disk.session.kick(0);
  CHECK(disk.image.in_flight() == 0);
  CHECK(disk.session.quiesce());
  CHECK_FALSE(driver.take_used().has_value());
  disk.session.release();
  disk.image.complete(1);
  CHECK(driver.take_used().has_value());
}

TEST_CASE("virtio-blk: a reset while held is one, and the new session begins when released") {
  Disk disk;
  REQUIRE(disk.session.hold());
  disk.session.stop();
  BlockSession session(disk.session, disk.device);
  session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  session.kick(0);
  CHECK(disk.image.in_flight() == 0);
  session.release();
  CHECK(disk.image.in_flight() == 1);
  disk.image.complete(1);
}

TEST_CASE("virtio-blk: a host that does not answer in time fails hold, and the guest goes on") {
  Disk disk;
  disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  disk.session.kick(0);
  disk.image.get_stuck(true);
  CHECK_FALSE(disk.session.hold());
  disk.image.get_stuck(false);
  disk.session.release();
  disk.image.complete(1);
  CHECK(disk.session.driver(0).take_used().has_value());
}

TEST_CASE("virtio-blk: a host that does not answer fails quiesce, and the guest goes on") {
  Disk disk;
  disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  disk.image.get_stuck(true);
  CHECK_FALSE(disk.session.quiesce());
  disk.image.get_stuck(false);
  disk.image.complete(1);
  CHECK(disk.session.driver(0).take_used().has_value());
}

TEST_CASE("virtio-blk: a reset waits for requests in flight and forgets the session") {
  Disk disk;
  disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  disk.session.kick(0);
  disk.session.stop();
  CHECK(disk.image.in_flight() == 0);
  disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  disk.session.kick(0);
  CHECK(disk.image.in_flight() == 0);
}

TEST_CASE("virtio-blk: a restored device goes on where the rings say") {
  Disk disk;
  disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 0)}, {512, 1});
  REQUIRE(disk.session.quiesce());
  disk.session.driver(0).add({header(VIRTIO_BLK_T_IN, 1)}, {512, 1});
  MemoryImage image(kSectors * 512);
  VirtioBlk restored({image, *disk.loop, "disk0", 1}, disk.device.save());
  BlockSession session(disk.session, restored);
  image.complete(10);
  REQUIRE(image.seen().size() == 1);
  CHECK(image.seen()[0].offset == 512);
}

TEST_CASE("virtio-blk: the state round-trips") {
  check_state_codec(VirtioBlkState{});
}

TEST_CASE("virtio-blk: works on several queues of a running loop over a real file") {
  const TemporaryFolder folder;
  TestRam ram;
  auto loop = EventLoop::create("test").value();
  const auto which = GENERATE(FileIo::Engine::kAuto, FileIo::Engine::kThreads);
  const auto image =
      open_raw_disk(folder.make_file("x.img", 1 << 20), {false, which}, *loop).value();
  VirtioBlk device({*image, *loop, "disk0", 4});
  BlockSession session(device, ram);
  loop->start();
  for (unsigned queue = 0; queue < 4; ++queue) {
    for (unsigned i = 0; i < 30; ++i) {
      const unsigned slot = queue * 30 + i;
      session.driver(queue).add({header(VIRTIO_BLK_T_OUT, slot), pattern(512, slot)}, {1});
    }
    session.kick(queue);
  }
  for (unsigned queue = 0; queue < 4; ++queue) {
    for (unsigned i = 0; i < 30; ++i) {
      CHECK(session.driver(queue).wait_used().data == Bytes{std::byte{VIRTIO_BLK_S_OK}});
    }
  }
  session.driver(3).add({header(VIRTIO_BLK_T_FLUSH, 0)}, {1});
  session.driver(2).add({header(VIRTIO_BLK_T_IN, 77)}, {512, 1});
  session.kick(3);
  session.kick(2);
  CHECK(session.driver(3).wait_used().data == Bytes{std::byte{VIRTIO_BLK_S_OK}});
  CHECK(session.driver(2).wait_used().data == pattern(512, 77) + Bytes(1));
  session.stop();
  loop->pause();
}

}  // namespace
}  // namespace stasis::devices
