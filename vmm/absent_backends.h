#pragma once

#include <functional>
#include <utility>

#include "devices/block/block_image.h"
#include "devices/net/net_backend.h"

namespace stasis::vmm {

/// Stands for a disk in a machine that never runs: the guest sees the same device, and there is
/// nothing behind it.
class AbsentDisk final : public devices::BlockImage {
 public:
  explicit AbsentDisk(bool read_only) {
    info_.size_bytes = info_.physical_block_size;
    info_.read_only = read_only;
  }
  std::string_view name() const override { return "(absent)"; }
  const devices::BlockImageInfo& info() const override { return info_; }
  void submit(devices::BlockRequest /*request*/) override {}
  void kick() override {}
  bool drain(std::chrono::steady_clock::time_point /*deadline*/) override { return true; }
  void set_group_listener(std::function<void()> /*listener*/) override {}

 private:
  devices::BlockImageInfo info_;
};

/// The same for a network: a cable that leads nowhere.
class AbsentNetwork final : public devices::NetBackend {
 public:
  void send_frame(std::span<const std::uint8_t> /*frame*/) override {}
  void set_receiver(devices::FrameReceiver* /*receiver*/) override {}
  void room_again() override {}
};

}  // namespace stasis::vmm
