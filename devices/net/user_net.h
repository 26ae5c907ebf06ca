#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"
#include "devices/event_loop.h"
#include "devices/net/net_backend.h"

namespace stasis::devices {

/// One TCP or UDP port of 127.0.0.1 on the host that leads to a port of the guest.
struct UserNetForward {
  bool udp = false;
  std::uint16_t host_port = 0;  ///< 1..65535
  std::uint16_t guest_port = 0;
};

/// User-mode networking by libslirp, which needs no privilege: an IPv4 network 10.0.2.0/24 with the
/// host at 10.0.2.2, DNS at 10.0.2.3 and one DHCP lease for the guest, 10.0.2.15. IPv6 is off: a
/// host without it would leave the guest with routes that lead nowhere.
///
/// libslirp is loaded by `create`, so that a VM without network does not pay for it.
///
/// Snapshots: connections end at the host's sockets, which no snapshot can hold, so there is no
/// state to save. A guest restored onto a new instance keeps its address; its old connections are
/// answered by resets, new ones work (the network learns the guest's address from its traffic).
///
/// Threads: one event loop, see NetBackend. SIGPIPE must be ignored, or blocked in the loop's
/// thread, as EventLoop does.
class UserNet final : public NetBackend {
 public:
  struct Wiring {
    EventLoop& loop;  ///< outlives this
  };

  /// Opens the forwards; refuses a port that is in use, by number.
  /// kUnsupported: libslirp cannot be loaded; the message names its package.
  static base::Result<std::unique_ptr<UserNet>> create(Wiring wiring,
                                                       const std::vector<UserNetForward>& forwards);

  UserNet(const UserNet&) = delete;
  UserNet& operator=(const UserNet&) = delete;
  ~UserNet() override;

  /// Gives the forwarded ports back to the host, so that another instance can have them. What is
  /// connected stays so. Threads: any.
  void release_ports();

  /// Takes them again; refuses a port that is in use by now, by number.
  base::Status claim_ports();

  void send_frame(std::span<const std::uint8_t> frame) override;
  void set_receiver(FrameReceiver* receiver) override;
  void room_again() override;

 private:
  class Stack;
  explicit UserNet(std::unique_ptr<Stack> stack);

  std::unique_ptr<Stack> stack_;
};

}  // namespace stasis::devices
