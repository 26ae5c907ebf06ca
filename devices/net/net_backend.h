#pragma once

#include <cstdint>
#include <span>

namespace stasis::devices {

/// Takes Ethernet frames for the guest: a NIC. Threads: the backend's event loop.
class FrameReceiver {
 public:
  virtual ~FrameReceiver() = default;

  /// `frame`: an Ethernet II frame without its check sequence. False: no room now, offer the same
  /// frame again after `NetBackend::room_again`. True: taken, or dropped for good.
  virtual bool receive_frame(std::span<const std::uint8_t> frame) = 0;
};

/// The host's side of a virtual network cable. Threads: all members on the backend's event loop, or
/// while that is parked or not started.
class NetBackend {
 public:
  virtual ~NetBackend() = default;

  /// A frame from the guest, any length and content. What cannot be delivered is dropped.
  virtual void send_frame(std::span<const std::uint8_t> frame) = 0;

  /// Where frames for the guest go; null: nowhere, they are dropped.
  virtual void set_receiver(FrameReceiver* receiver) = 0;

  /// The receiver that refused a frame has room again.
  virtual void room_again() = 0;
};

}  // namespace stasis::devices
