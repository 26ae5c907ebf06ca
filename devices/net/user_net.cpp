#include "devices/net/user_net.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <linux/if_ether.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <deque>
#include <limits>

#include "base/log.h"
#include "devices/net/slirp_library.h"

namespace stasis::devices {
namespace {

using Milliseconds = std::chrono::milliseconds;

constexpr std::uint32_t kNetwork = 0x0A000200;  // 10.0.2.0, host byte order
constexpr std::uint32_t kNetmask = 0xFFFFFF00;
constexpr std::uint32_t kHost = kNetwork | 2;
constexpr std::uint32_t kNameServer = kNetwork | 3;
constexpr std::uint32_t kGuest = kNetwork | 15;

constexpr std::size_t kMaxWaiting = 256;     // frames; more are dropped, as on any network
constexpr std::size_t kMaxFrame = 65'536;    // far above any MTU
constexpr std::uint32_t kIdleWakeUp = 1000;  // what libslirp asks for, in ms, with no timer running
constexpr Milliseconds kStaleClock{100};

in_addr address(std::uint32_t host_order) {
  return {.s_addr = htonl(host_order)};
}

SlirpConfig make_config() {
  SlirpConfig config{};
  config.version = 1;  // nothing newer is needed, so any libslirp.so.0 serves
  config.in_enabled = true;
  config.vnetwork = address(kNetwork);
  config.vnetmask = address(kNetmask);
  config.vhost = address(kHost);
  config.vhostname = "stasis";
  config.vdhcp_start = address(kGuest);
  config.vnameserver = address(kNameServer);
  return config;
}

short to_poll(int slirp_events) {
  int events = 0;
  if ((slirp_events & SLIRP_POLL_IN) != 0) events |= POLLIN;
  if ((slirp_events & SLIRP_POLL_OUT) != 0) events |= POLLOUT;
  if ((slirp_events & SLIRP_POLL_PRI) != 0) events |= POLLPRI;
  return static_cast<short>(events);  // errors and hang-ups are always reported
}

int from_poll(short events) {
  int slirp_events = 0;
  if ((events & POLLIN) != 0) slirp_events |= SLIRP_POLL_IN;
  if ((events & POLLOUT) != 0) slirp_events |= SLIRP_POLL_OUT;
  if ((events & POLLPRI) != 0) slirp_events |= SLIRP_POLL_PRI;
  if ((events & POLLERR) != 0) slirp_events |= SLIRP_POLL_ERR;
  if ((events & POLLHUP) != 0) slirp_events |= SLIRP_POLL_HUP;
  return slirp_events;
}

bool is_arp(std::span<const std::uint8_t> frame) {
  return frame.size() >= ETH_HLEN && (frame[12] << 8 | frame[13]) == ETH_P_ARP;
}

base::Error forward_error(const UserNetForward& forward, int error) {
  const char* protocol = forward.udp ? "udp" : "tcp";
  const std::string remedy =
      error == EADDRINUSE
          ? fmt::format("choose another host port, or see who has it with: ss -lnp 'sport = :{}'",
                        forward.host_port)
          : "choose another host port, from 1024 on";
  const base::Error reason = base::errno_error(
      error, fmt::format("port forward {}:{}:{}: port {} of 127.0.0.1", protocol, forward.host_port,
                         forward.guest_port, forward.host_port));
  return {reason.kind(), fmt::format("{}; {}", reason.message(), remedy)};
}

}  // namespace

/// One libslirp instance and the frames that the guest had no room for.
class UserNet::Stack final : public PollHook {
 public:
  Stack(EventLoop& loop, const SlirpLibrary& library) : loop_(loop), library_(library) {}
  Stack(const Stack&) = delete;
  Stack& operator=(const Stack&) = delete;
  ~Stack() override;

  base::Status open(std::vector<UserNetForward> forwards);
  void release_ports();
  base::Status claim_ports();

  void from_guest(std::span<const std::uint8_t> frame);
  void set_receiver(FrameReceiver* receiver);
  void deliver_waiting();

  void before_poll(std::vector<pollfd>& fds, int& timeout_ms) override;
  void after_poll(std::span<const pollfd> fds) override;

 private:
  static Stack& self(void* opaque) { return *static_cast<Stack*>(opaque); }
  static const SlirpCb& callbacks();

  base::Status add_forward(const UserNetForward& forward);
  void to_guest(std::span<const std::uint8_t> frame);
  int add_poll(int fd, int events);
  int answer(int index) const;
  void catch_up_clock();

  EventLoop& loop_;
  const SlirpLibrary library_;
  Slirp* slirp_ = nullptr;
  std::vector<UserNetForward> forwards_;
  FrameReceiver* receiver_ = nullptr;
  std::deque<std::vector<std::uint8_t>> waiting_;  // refused by the receiver, oldest first
  std::chrono::steady_clock::time_point clock_seen_ = std::chrono::steady_clock::now();

  // One round of the event loop
  bool polled_ = false;
  bool poll_soon_ = false;
  std::vector<pollfd>* poll_list_ = nullptr;
  std::size_t poll_base_ = 0;
  std::span<const pollfd> answers_;
};

const SlirpCb& UserNet::Stack::callbacks() {
  static const SlirpCb kTable = [] {
    SlirpCb made{};
    made.send_packet = [](const void* data, std::size_t size, void* opaque) {
      self(opaque).to_guest({static_cast<const std::uint8_t*>(data), size});
      return static_cast<ssize_t>(size);
    };
    made.guest_error = [](const char* message, void* /*opaque*/) {
      STASIS_LOG_GUEST("user-mode network: {}", message);
    };
    made.clock_get_ns = [](void* /*opaque*/) -> std::int64_t {
      return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count();
    };
    // Timers are for IPv6 router advertisements only, and IPv6 is off.
    made.timer_new = [](SlirpTimerCb, void*, void*) -> void* { return nullptr; };
    made.timer_free = [](void*, void*) {};
    made.timer_mod = [](void*, std::int64_t, void*) {};
    // Descriptors are asked for anew in each round of the loop.
    made.register_poll_fd = [](int, void*) {};
    made.unregister_poll_fd = [](int, void*) {};
    made.notify = [](void*) {};
    return made;
  }();
  return kTable;
}

UserNet::Stack::~Stack() {
  if (slirp_ == nullptr) return;
  loop_.run_sync([this] {
    loop_.remove_hook(*this);
    receiver_ = nullptr;
    library_.cleanup(slirp_);
  });
}

base::Status UserNet::Stack::open(std::vector<UserNetForward> forwards) {
  forwards_ = std::move(forwards);
  const SlirpConfig config = make_config();
  slirp_ = library_.create(&config, &callbacks(), this);
  if (slirp_ == nullptr) {
    return base::fail(base::ErrorKind::kUnsupported,
                      "user-mode network: libslirp refused its configuration; install the "
                      "distribution's current libslirp0");
  }
  loop_.run_sync([this] { loop_.add_hook(*this); });
  return claim_ports();
}

base::Status UserNet::Stack::claim_ports() {
  for (const auto& forward : forwards_) TRY(add_forward(forward));
  return {};
}

void UserNet::Stack::release_ports() {
  loop_.run_sync([this] {
    for (const auto& forward : forwards_) {
      library_.remove_hostfwd(slirp_, forward.udp ? 1 : 0, address(INADDR_LOOPBACK),
                              forward.host_port);
    }
  });
}

base::Status UserNet::Stack::add_forward(const UserNetForward& forward) {
  if (forward.host_port == 0 || forward.guest_port == 0) {
    return base::fail(forward_error(forward, EINVAL));
  }
  int error = 0;
  loop_.run_sync([&] {
    errno = 0;
    const int added = library_.add_hostfwd(slirp_, forward.udp ? 1 : 0, address(INADDR_LOOPBACK),
                                           forward.host_port, address(kGuest), forward.guest_port);
    if (added < 0) error = errno != 0 ? errno : EADDRINUSE;
  });
  if (error != 0) return base::fail(forward_error(forward, error));
  return {};
}

void UserNet::Stack::from_guest(std::span<const std::uint8_t> frame) {
  if (frame.size() > kMaxFrame) return;
  catch_up_clock();
  library_.input(slirp_, frame.data(), static_cast<int>(frame.size()));
  // Packets that wait for an address go out at the next poll, which may be half a second away.
  poll_soon_ = poll_soon_ || is_arp(frame);
}

/// libslirp knows the time of its last poll only. After a long sleep a new UDP flow would be born
/// expired and lose its first answer. Reporting a failed poll moves the clock and nothing else.
void UserNet::Stack::catch_up_clock() {
  const auto now = std::chrono::steady_clock::now();
  if (now - clock_seen_ < kStaleClock) return;
  clock_seen_ = now;
  library_.pollfds_poll(
      slirp_, 1, [](int, void*) { return 0; }, this);
}

void UserNet::Stack::to_guest(std::span<const std::uint8_t> frame) {
  if (receiver_ == nullptr) return;
  if (waiting_.empty() && receiver_->receive_frame(frame)) return;
  if (waiting_.size() < kMaxWaiting) waiting_.emplace_back(frame.begin(), frame.end());
}

void UserNet::Stack::set_receiver(FrameReceiver* receiver) {
  receiver_ = receiver;
  waiting_.clear();
}

void UserNet::Stack::deliver_waiting() {
  if (receiver_ == nullptr) return;
  while (!waiting_.empty() && receiver_->receive_frame(waiting_.front())) waiting_.pop_front();
}

void UserNet::Stack::before_poll(std::vector<pollfd>& fds, int& timeout_ms) {
  // Back pressure: while the guest has no room nothing more is read from the host's sockets.
  polled_ = waiting_.empty();
  if (!polled_) return;
  poll_list_ = &fds;
  poll_base_ = fds.size();
  std::uint32_t timeout = timeout_ms < 0 ? std::numeric_limits<std::uint32_t>::max()
                                         : static_cast<std::uint32_t>(timeout_ms);
  library_.pollfds_fill(
      slirp_, &timeout,
      [](int fd, int events, void* opaque) { return self(opaque).add_poll(fd, events); }, this);
  if (poll_soon_) timeout = 0;
  // An idle VM shall not wake up once a second; `catch_up_clock` makes up for it.
  if (timeout < kIdleWakeUp) timeout_ms = static_cast<int>(timeout);
}

int UserNet::Stack::add_poll(int fd, int events) {
  poll_list_->push_back({fd, to_poll(events), 0});
  return static_cast<int>(poll_list_->size() - 1 - poll_base_);
}

void UserNet::Stack::after_poll(std::span<const pollfd> fds) {
  if (!polled_) return;
  answers_ = fds;
  poll_soon_ = false;
  clock_seen_ = std::chrono::steady_clock::now();
  library_.pollfds_poll(
      slirp_, 0, [](int index, void* opaque) { return self(opaque).answer(index); }, this);
  answers_ = {};
}

int UserNet::Stack::answer(int index) const {
  const auto position = static_cast<std::size_t>(index);
  return position < answers_.size() ? from_poll(answers_[position].revents) : 0;
}

base::Result<std::unique_ptr<UserNet>> UserNet::create(
    Wiring wiring, const std::vector<UserNetForward>& forwards) {
  const SlirpLibrary library = TRY(SlirpLibrary::load());
  auto stack = std::make_unique<Stack>(wiring.loop, library);
  TRY(stack->open(forwards));
  return std::unique_ptr<UserNet>(new UserNet(std::move(stack)));
}

UserNet::UserNet(std::unique_ptr<Stack> stack) : stack_(std::move(stack)) {}
UserNet::~UserNet() = default;

void UserNet::release_ports() {
  stack_->release_ports();
}

base::Status UserNet::claim_ports() {
  return stack_->claim_ports();
}

void UserNet::send_frame(std::span<const std::uint8_t> frame) {
  stack_->from_guest(frame);
}

void UserNet::set_receiver(FrameReceiver* receiver) {
  stack_->set_receiver(receiver);
}

void UserNet::room_again() {
  stack_->deliver_waiting();
}

}  // namespace stasis::devices
