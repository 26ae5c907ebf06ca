#pragma once

#include <utility>
#include <vector>

#include "devices/virtio/virtio_device.h"
#include "tests/unit/devices/virtio_test_driver.h"

namespace stasis::devices::testing {

/// A transport that only counts interrupts, with the driver's side of each queue. The device works
/// on a loop that was not started, so everything happens in the test's thread.
class TestSession : public VirtioSession {
 public:
  explicit TestSession(VirtioDevice& device, std::uint16_t queue_size = 8) : device_(&device) {
    for (std::size_t i = 0; i < device.queue_sizes().size(); ++i) {
      drivers_.emplace_back(ram_, queue_size);
    }
    for (const auto& driver : drivers_) queues_.emplace_back(ram_.memory(), false, driver.state());
    interrupts_.resize(queues_.size());
  }

  const base::GuestMemory& memory() const override { return ram_.memory(); }
  std::uint64_t features() const override { return device_->offered_features(); }
  VirtQueue& queue(unsigned index) override { return queues_.at(index); }
  void interrupt_if_needed(unsigned index) override {
    if (queues_.at(index).take_interrupt()) ++interrupts_.at(index);
  }

  TestRam& ram() { return ram_; }
  DriverQueue& driver(unsigned index) { return drivers_.at(index); }
  unsigned interrupts(unsigned index) const { return interrupts_.at(index); }

 private:
  VirtioDevice* device_;
  TestRam ram_;
  std::vector<DriverQueue> drivers_;
  std::vector<VirtQueue> queues_;
  std::vector<unsigned> interrupts_;
};

/// `size` bytes of the device configuration from `offset` on, as a little-endian number.
inline std::uint64_t config_value(VirtioDevice& device, std::uint64_t offset, std::size_t size) {
  Bytes bytes(size);
  device.read_config(offset, bytes);
  std::uint64_t value = 0;
  std::memcpy(&value, bytes.data(), size);
  return value;
}

}  // namespace stasis::devices::testing
