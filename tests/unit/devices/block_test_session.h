#pragma once

#include <memory>
#include <set>

#include "tests/unit/devices/virtio_test_driver.h"

namespace stasis::devices::testing {

/// RAM that tells marks made since `forget_marks` from older ones.
class MarkedRam : public TestRam {
 public:
  void mark(base::GuestAddress start, std::size_t size) override {
    TestRam::mark(start, size);
    const std::lock_guard lock(mutex_);
    recent_.insert(start.value);
  }
  void forget_marks() {
    const std::lock_guard lock(mutex_);
    recent_.clear();
  }
  bool is_marked_since(base::GuestAddress start) const {
    const std::lock_guard lock(mutex_);
    return recent_.count(start.value) != 0;
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::uint64_t> recent_;
};

/// Stands in for the transport of a device on any loop: its rings at full size, a driver for each
/// and the calls that a transport makes, on the loop's thread. The device runs from the session's
/// beginning to `stop` or its end.
class BlockSession : public VirtioSession {
 public:
  BlockSession(VirtioDevice& device, TestRam& ram, std::uint64_t features = ~std::uint64_t{0})
      : device_(device), ram_(ram), features_(features & device.offered_features()) {
    for (const std::uint16_t size : device.queue_sizes()) {
      queues_.push_back(std::make_unique<Queue>(DriverQueue(ram, size)));
      queues_.back()->device.emplace(ram.memory(), false, queues_.back()->driver.state());
    }
    start();
  }

  /// The session of a restored `device`: the rings and indices that `before`, now stopped, had.
  BlockSession(BlockSession& before, VirtioDevice& device)
      : device_(device), ram_(before.ram_), features_(before.features_) {
    before.stop();
    for (const auto& queue : before.queues_) {
      queues_.push_back(std::make_unique<Queue>(queue->driver));
      queues_.back()->device.emplace(ram_.memory(), false, queue->device->state());
    }
    start();
    for (unsigned i = 0; i < queues_.size(); ++i) kick(i);
  }
  BlockSession(const BlockSession&) = delete;
  BlockSession& operator=(const BlockSession&) = delete;
  ~BlockSession() override { stop(); }

  const base::GuestMemory& memory() const override { return ram_.memory(); }
  std::uint64_t features() const override { return features_; }
  VirtQueue& queue(unsigned index) override { return *queues_.at(index)->device; }
  void interrupt_if_needed(unsigned index) override {
    if (queue(index).take_interrupt()) ++queues_.at(index)->interrupts;
  }

  DriverQueue& driver(unsigned index) { return queues_.at(index)->driver; }
  unsigned interrupts(unsigned index) const { return queues_.at(index)->interrupts; }

  void kick(unsigned index) {
    device_.loop().run_sync([&] { device_.queue_kicked(index); });
  }
  bool quiesce() {
    bool is_quiet = false;
    device_.loop().run_sync([&] { is_quiet = device_.quiesce(); });
    return is_quiet;
  }
  bool hold() {
    bool is_quiet = false;
    device_.loop().run_sync([&] { is_quiet = device_.hold(); });
    return is_quiet;
  }
  void release() {
    device_.loop().run_sync([&] { device_.release(); });
  }
  void stop() {
    if (!is_started_) return;
    is_started_ = false;
    device_.loop().run_sync([&] { device_.stop(); });
  }

 private:
  struct Queue {
    explicit Queue(DriverQueue built) : driver(std::move(built)) {}
    DriverQueue driver;
    std::optional<VirtQueue> device;
    std::atomic<unsigned> interrupts{0};
  };

  void start() {
    is_started_ = true;
    device_.loop().run_sync([&] { device_.start(*this); });
  }

  VirtioDevice& device_;
  TestRam& ram_;
  std::uint64_t features_;
  std::vector<std::unique_ptr<Queue>> queues_;
  bool is_started_ = false;
};

}  // namespace stasis::devices::testing
