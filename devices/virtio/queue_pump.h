#pragma once

#include <cstdint>
#include <functional>

#include "devices/loop_task.h"
#include "devices/virtio/virtio_device.h"

namespace stasis::devices {

/// Serves the requests of one virtqueue one after the other, for devices that answer at once. Works
/// in rounds and lets the loop do other things between them, so that a driver that never stops
/// asking cannot keep the loop from its other work or from parking.
/// Threads: the loop's.
class QueuePump {
 public:
  /// Does one request and returns how many bytes it put into the writable part.
  using Serve = std::function<std::uint32_t(const DescriptorChain&)>;

  QueuePump(EventLoop& loop, unsigned queue_index, Serve serve);

  void start(VirtioSession& session) { session_ = &session; }
  void stop() { session_ = nullptr; }

  /// Serves what there is: all of it, or a round now and the rest soon. Does nothing while stopped.
  void run();

 private:
  bool serve_round(VirtQueue& queue);

  const unsigned queue_index_;
  const Serve serve_;
  VirtioSession* session_ = nullptr;
  LoopTask next_round_;
};

}  // namespace stasis::devices
