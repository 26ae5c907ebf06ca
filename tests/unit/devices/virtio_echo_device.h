#pragma once

#include <algorithm>
#include <atomic>
#include <cstring>
#include <vector>

#include "devices/virtio/virtio_device.h"

namespace stasis::devices::testing {

/// A virtio device of two queues that returns what it reads. Kicks on queue 0 answer at once; kicks
/// on queue 1 only take, and answer at the next kick, so that requests are in flight in between.
class EchoDevice : public VirtioDevice {
 public:
  struct State {
    std::vector<std::uint16_t> in_flight;  ///< heads taken from queue 1
    bool operator==(const State&) const = default;
  };

  explicit EchoDevice(EventLoop& loop, State state = {}) : loop_(loop), state_(std::move(state)) {}

  std::string_view name() const override { return "virtio-echo"; }
  std::uint16_t device_type() const override { return 4; }  // as the entropy device
  std::uint64_t offered_features() const override { return 0x5 | std::uint64_t{1} << 33; }
  std::vector<std::uint16_t> queue_sizes() const override { return {16, 8}; }
  EventLoop& loop() override { return loop_; }

  void read_config(std::uint64_t offset, std::span<std::byte> out) override {
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i] = offset + i < config.size() ? config[offset + i] : std::byte{0};
    }
  }
  void write_config(std::uint64_t offset, std::span<const std::byte> in) override {
    for (std::size_t i = 0; i < in.size(); ++i) {
      if (offset + i < config.size()) config[offset + i] = in[i];
    }
  }

  void start(VirtioSession& session) override {
    session_ = &session;
    ++starts;
  }
  void stop() override {
    session_ = nullptr;
    state_ = {};
    ++stops;
  }
  void queue_kicked(unsigned index) override {
    ++kicks;
    if (index == 0) return echo();
    for (const std::uint16_t head : state_.in_flight) session_->queue(1).push(head, 0);
    state_.in_flight.clear();
    while (auto chain = session_->queue(1).pop()) state_.in_flight.push_back(chain->head);
    session_->interrupt_if_needed(1);
  }

  State save() const { return state_; }
  std::uint64_t features() const { return session_ == nullptr ? 0 : session_->features(); }
  bool is_started() const { return session_ != nullptr; }

  std::vector<std::byte> config = std::vector<std::byte>(8);
  std::atomic<unsigned> starts{0};
  std::atomic<unsigned> stops{0};
  std::atomic<unsigned> kicks{0};

 private:
  void echo() {
    VirtQueue& queue = session_->queue(0);
    while (auto chain = queue.pop()) {
      std::vector<std::byte> bytes(std::min<std::uint64_t>(chain->readable_bytes(), 4096));
      bytes.resize(chain->read(session_->memory(), 0, bytes));
      const std::size_t written = chain->write(session_->memory(), 0, bytes);
      queue.push(*chain, static_cast<std::uint32_t>(written));
    }
    session_->interrupt_if_needed(0);
  }

  EventLoop& loop_;
  VirtioSession* session_ = nullptr;
  State state_;
};

}  // namespace stasis::devices::testing
