#include "tests/fuzz/fuzz_virtio_console.h"

#include "base/check.h"
#include "devices/console/virtio_console.h"
#include "tests/fuzz/virtio_fuzz.h"

namespace stasis::fuzz {
namespace {

class Nobody final : public devices::ByteSink {
 public:
  void write(std::span<const std::uint8_t> bytes) override { STASIS_CHECK(!bytes.empty()); }
};

}  // namespace

void fuzz_virtio_console(std::span<const std::uint8_t> bytes) {
  const auto loop = devices::EventLoop::create("fuzz").value();
  FuzzInput input(bytes);
  Nobody out;
  devices::VirtioConsole console({*loop, out});
  FuzzGuest guest(2, input.take<std::uint8_t>() % 2 == 1);
  console.start(guest);
  while (!input.is_empty()) {
    if (drive(console, guest, input.take<std::uint8_t>() % 7, input)) continue;
    const std::vector<std::uint8_t> typed(input.take<std::uint16_t>() % 8192, 'k');
    STASIS_CHECK(console.receive(typed) <= typed.size());
    STASIS_CHECK(console.save().validate().has_value());
  }
  console.stop();
}

}  // namespace stasis::fuzz
