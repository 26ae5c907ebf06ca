#pragma once

#include "tests/unit/devices/virtio_test_driver.h"

namespace stasis::devices::testing {

inline constexpr std::uint64_t kTransportFeatures = std::uint64_t{1} << VIRTIO_F_VERSION_1 |
                                                    std::uint64_t{1} << VIRTIO_RING_F_EVENT_IDX |
                                                    std::uint64_t{1} << VIRTIO_RING_F_INDIRECT_DESC;

/// Runs a VirtioDevice without a transport: all its queues, a driver for each, and a count of
/// interrupts. The device starts with the session and is stopped by its end.
///
///     TestRam ram;
///     auto loop = EventLoop::create("test").value();  // start() it for devices that wait for fds
///     VirtioRng device({...});
///     TestSession session(device, ram);
///     session.driver(0).add({}, {16});
///     session.kick(0);
///     CHECK(session.driver(0).wait_used().written == 16);
class TestSession : public VirtioSession {
 public:
  /// `features` as negotiated; by default all that are offered. `queue_size` 0: the maximum of
  /// each queue.
  TestSession(VirtioDevice& device, TestRam& ram, std::uint64_t features = ~std::uint64_t{0},
              std::uint16_t queue_size = 0)
      : device_(device),
        ram_(ram),
        features_(features & (device.offered_features() | kTransportFeatures)) {
    for (const std::uint16_t maximum : device.queue_sizes()) {
      const auto size = queue_size == 0 ? maximum : std::min(queue_size, maximum);
      queues_.push_back(std::make_unique<Queue>(DriverQueue(ram, size)));
      queues_.back()->device.emplace(ram.memory(), event_index(), queues_.back()->driver.state());
    }
    start();
  }
  TestSession(const TestSession&) = delete;
  TestSession& operator=(const TestSession&) = delete;
  ~TestSession() override { stop(); }

  const base::GuestMemory& memory() const override { return ram_.memory(); }
  std::uint64_t features() const override { return features_; }
  VirtQueue& queue(unsigned index) override { return *queues_.at(index)->device; }
  void interrupt_if_needed(unsigned index) override {
    if (queue(index).take_interrupt()) ++queues_.at(index)->interrupts;
  }

  DriverQueue& driver(unsigned index) { return queues_.at(index)->driver; }

  /// The driver's notification, delivered before this returns.
  void kick(unsigned index) {
    device_.loop().run_sync([&] { device_.queue_kicked(index); });
  }

  unsigned interrupts(unsigned index) const { return queues_.at(index)->interrupts; }

  void start() {
    if (started_) return;
    started_ = true;
    device_.loop().run_sync([&] { device_.start(*this); });
  }
  void stop() {
    if (!started_) return;
    started_ = false;
    device_.loop().run_sync([&] { device_.stop(); });
  }
  bool quiesce() {
    bool quiet = false;
    device_.loop().run_sync([&] { quiet = device_.quiesce(); });
    return quiet;
  }

  /// Puts `device` in the place of the first one, as a restore does: the same rings, their indices
  /// as they were, a start and a kick of every queue. The first device must have been stopped by
  /// `stop` or quiesced with its loop paused; `before.stop()` is called here.
  /// Usage: `TestSession after(before, restored_device);`
  TestSession(TestSession& before, VirtioDevice& device)
      : device_(device), ram_(before.ram_), features_(before.features_) {
    before.stop();
    for (const auto& queue : before.queues_) {
      queues_.push_back(std::make_unique<Queue>(queue->driver));
      queues_.back()->device.emplace(ram_.memory(), event_index(), queue->device->state());
    }
    start();
    for (unsigned i = 0; i < queues_.size(); ++i) kick(i);
  }

 private:
  struct Queue {
    explicit Queue(DriverQueue built) : driver(std::move(built)) {}
    DriverQueue driver;
    std::optional<VirtQueue> device;
    std::atomic<unsigned> interrupts{0};
  };

  bool event_index() const { return (features_ >> VIRTIO_RING_F_EVENT_IDX & 1) != 0; }

  VirtioDevice& device_;
  TestRam& ram_;
  std::uint64_t features_;
  std::vector<std::unique_ptr<Queue>> queues_;
  bool started_ = false;
};

}  // namespace stasis::devices::testing
