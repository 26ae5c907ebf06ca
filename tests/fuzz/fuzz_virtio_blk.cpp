#include "tests/fuzz/fuzz_virtio_blk.h"

#include "base/check.h"
#include "devices/block/virtio_blk.h"
#include "tests/fuzz/virtio_fuzz.h"
#include "tests/unit/devices/block_memory_image.h"

namespace stasis::fuzz {

void fuzz_virtio_blk(std::span<const std::uint8_t> bytes) {
  const auto loop = devices::EventLoop::create("fuzz").value();
  FuzzInput input(bytes);
  const auto options = input.take<std::uint8_t>();
  devices::testing::MemoryImage image(std::uint64_t{64} << 10, (options & 2) != 0);
  FuzzGuest guest(2, (options & 1) != 0);
  devices::VirtioBlk disk({image, *loop, "fuzz", 2});
  disk.start(guest);
  while (!input.is_empty()) {
    const unsigned step = input.take<std::uint8_t>() % 11;
    if (drive(disk, guest, step, input)) continue;
    if (step == 6) image.complete(input.take<std::uint8_t>() % 8U);
    if (step == 7) STASIS_CHECK(disk.quiesce() && image.in_flight() == 0);
    if (step == 8) image.fail_with(input.take<std::uint8_t>() % 2 == 0 ? 0 : EIO);
    if (step == 9) STASIS_CHECK(disk.hold() && image.in_flight() == 0);
    if (step == 10) disk.release();
  }
  disk.stop();
  STASIS_CHECK(image.in_flight() == 0);
}

}  // namespace stasis::fuzz
