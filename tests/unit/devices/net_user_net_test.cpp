#include "devices/net/user_net.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

#include "devices/net/slirp_library.h"

namespace stasis::devices {
namespace {

using Frame = std::vector<std::uint8_t>;
using Address = std::array<std::uint8_t, 4>;

constexpr std::array<std::uint8_t, 6> kGuestMac = {0x52, 0x54, 0, 0x12, 0x34, 0x56};
constexpr std::array<std::uint8_t, 6> kBroadcast = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF};
constexpr Address kGuest = {10, 0, 2, 15};
constexpr Address kGateway = {10, 0, 2, 2};

void put(Frame& frame, std::span<const std::uint8_t> bytes) {
  frame.insert(frame.end(), bytes.begin(), bytes.end());
}
void put16(Frame& frame, unsigned value) {
  frame.push_back(static_cast<std::uint8_t>(value >> 8));
  frame.push_back(static_cast<std::uint8_t>(value));
}
unsigned get16(const Frame& frame, std::size_t at) {
  return static_cast<unsigned>(frame.at(at) << 8 | frame.at(at + 1));
}

Frame ethernet(std::span<const std::uint8_t> to, unsigned type) {
  Frame frame;
  put(frame, to);
  put(frame, kGuestMac);
  put16(frame, type);
  return frame;
}

Frame arp(unsigned operation, const Address& target) {
  Frame frame = ethernet(kBroadcast, 0x0806);
  for (const unsigned field : {0x0001U, 0x0800U, 0x0604U, operation}) put16(frame, field);
  put(frame, kGuestMac);
  put(frame, kGuest);
  put(frame, std::array<std::uint8_t, 6>{});
  put(frame, target);
  return frame;
}

/// The Internet checksum (RFC 1071) of an even number of bytes.
unsigned checksum(const Frame& bytes) {
  unsigned sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) sum += get16(bytes, i);
  sum = (sum & 0xFFFF) + (sum >> 16);
  return ~((sum & 0xFFFF) + (sum >> 16)) & 0xFFFF;
}
void set16(Frame& frame, std::size_t at, unsigned value) {
  frame.at(at) = static_cast<std::uint8_t>(value >> 8);
  frame.at(at + 1) = static_cast<std::uint8_t>(value);
}

Frame ipv4(unsigned protocol, const Address& from, const Address& to, const Frame& payload) {
  Frame ip = {0x45, 0};
  put16(ip, static_cast<unsigned>(20 + payload.size()));
  put(ip, std::array<std::uint8_t, 8>{0, 1, 0, 0, 64, static_cast<std::uint8_t>(protocol), 0, 0});
  put(ip, from);
  put(ip, to);
  set16(ip, 10, checksum(ip));
  Frame frame = ethernet(kBroadcast, 0x0800);
  put(frame, ip);
  put(frame, payload);
  return frame;
}

/// UDP without a checksum (RFC 768 allows zero).
Frame udp(const Address& from, const Address& to, unsigned from_port, unsigned to_port,
          const Frame& payload) {
  Frame datagram;
  for (const unsigned field : {from_port, to_port, static_cast<unsigned>(8 + payload.size()), 0U}) {
    put16(datagram, field);
  }
  put(datagram, payload);
  return ipv4(17, from, to, datagram);
}

/// A TCP segment (RFC 9293, section 3.1) without data that acknowledges: one in mid-connection.
Frame tcp_ack(const Address& from, const Address& to, unsigned from_port, unsigned to_port) {
  Frame segment;
  for (const unsigned field :
       {from_port, to_port, 0x1234U, 0x5678U, 0x9ABCU, 0xDEF0U, 0x5010U, 0xFFFFU, 0U, 0U}) {
    put16(segment, field);
  }
  Frame pseudo;  // section 3.1: what the checksum also covers
  put(pseudo, from);
  put(pseudo, to);
  put16(pseudo, 6);
  put16(pseudo, static_cast<unsigned>(segment.size()));
  put(pseudo, segment);
  set16(segment, 16, checksum(pseudo));
  return ipv4(6, from, to, segment);
}

/// RFC 2131, with the message type as the only option.
Frame dhcp_discover() {
  Frame bootp = {1, 1, 6, 0, 0xDE, 0xAD, 0xBE, 0xEF};
  bootp.resize(28);
  put(bootp, kGuestMac);
  bootp.resize(236);
  put(bootp, std::array<std::uint8_t, 8>{99, 130, 83, 99, 53, 1, 1, 255});
  bootp.resize(300);
  return udp({0, 0, 0, 0}, {255, 255, 255, 255}, 68, 67, bootp);
}

/// The guest's card: keeps frames, or refuses them.
class FakeCard : public FrameReceiver {
 public:
  bool receive_frame(std::span<const std::uint8_t> frame) override {
    const std::lock_guard lock(mutex_);
    if (!accepts_) return false;
    frames_.emplace_back(frame.begin(), frame.end());
    changed_.notify_all();
    return true;
  }
  void accept(bool yes) {
    const std::lock_guard lock(mutex_);
    accepts_ = yes;
  }
  std::size_t count() const {
    const std::lock_guard lock(mutex_);
    return frames_.size();
  }
  /// The next frame for which `wanted(frame)`; fails the test after five seconds.
  template <typename Wanted>
  Frame wait_for(Wanted wanted) {
    std::unique_lock lock(mutex_);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(5);
    while (true) {
      while (!frames_.empty()) {
        Frame frame = std::move(frames_.front());
        frames_.pop_front();
        if (wanted(frame)) return frame;
      }
      if (changed_.wait_until(lock, deadline) == std::cv_status::timeout) break;
    }
    FAIL("the frame did not come within five seconds");
    return {};
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Frame> frames_;
  bool accepts_ = true;
};

bool is_arp(const Frame& frame, unsigned operation) {
  return frame.size() >= 42 && get16(frame, 12) == 0x0806 && get16(frame, 20) == operation;
}
bool is_ip(const Frame& frame, unsigned protocol) {
  return frame.size() >= 34 && get16(frame, 12) == 0x0800 && frame[23] == protocol;
}

struct UserNetRig {
  explicit UserNetRig(const std::vector<UserNetForward>& forwards = {})
      : net(UserNet::create({*loop}, forwards).value()) {
    net->set_receiver(&card);
    loop->start();
  }
  ~UserNetRig() {
    loop->run_sync([this] { net->set_receiver(nullptr); });
  }
  void send(const Frame& frame) {
    loop->run_sync([&] { net->send_frame(frame); });
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  FakeCard card;
  std::unique_ptr<UserNet> net;
};

/// A socket on a port of 127.0.0.1 that was free.
struct Bound {
  explicit Bound(int type) : socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0)) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
    socklen_t size = sizeof name;
    REQUIRE(::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0);
    port = ntohs(name.sin_port);
  }
  base::Fd socket;
  std::uint16_t port = 0;
};

std::uint16_t free_port(int type) {
  return Bound(type).port;
}

base::Fd connect_to(std::uint16_t port, int type) {
  base::Fd socket(::socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  name.sin_port = htons(port);
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(socket.get(), reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
  return socket;
}

TEST_CASE("user net: DHCP offers 10.0.2.15 with its gateway and DNS") {
  UserNetRig rig;
  rig.send(dhcp_discover());
  const Frame offer = rig.card.wait_for([](const Frame& frame) { return is_ip(frame, 17); });
  const auto at = [&](std::size_t offset) {
    return Address{offer.at(offset), offer.at(offset + 1), offer.at(offset + 2),
                   offer.at(offset + 3)};
  };
  CHECK(at(42 + 16) == kGuest);    // yiaddr
  CHECK(offer.at(42 + 242) == 2);  // DHCPOFFER
  std::map<unsigned, Frame> options;
  for (std::size_t i = 42 + 240; i + 1 < offer.size() && offer[i] != 255; i += 2U + offer[i + 1]) {
    options[offer[i]] =
        Frame(offer.begin() + long(i) + 2, offer.begin() + long(i) + 2 + offer[i + 1]);
  }
  CHECK(options[3] == Frame{10, 0, 2, 2});
  CHECK(options[6] == Frame{10, 0, 2, 3});
  CHECK(options[12] == Frame{'s', 't', 'a', 's', 'i', 's'});
}

TEST_CASE("user net: the gateway answers ARP") {
  UserNetRig rig;
  rig.send(arp(1, kGateway));
  const Frame reply = rig.card.wait_for([](const Frame& frame) { return is_arp(frame, 2); });
  CHECK(std::memcmp(&reply[28], kGateway.data(), 4) == 0);
  CHECK(std::memcmp(&reply[0], kGuestMac.data(), 6) == 0);
}

TEST_CASE("user net: a guest's datagram reaches the host and the answer comes back") {
  const Bound server(SOCK_DGRAM);
  UserNetRig rig;
  rig.send(arp(1, kGateway));
  rig.send(udp(kGuest, kGateway, 4000, server.port, {'p', 'i', 'n', 'g'}));
  std::array<char, 16> text{};
  sockaddr_in from{};
  socklen_t size = sizeof from;
  REQUIRE(::recvfrom(server.socket.get(), text.data(), text.size(), 0,
                     reinterpret_cast<sockaddr*>(&from), &size) == 4);
  CHECK(std::string(text.data()) == "ping");
  REQUIRE(::sendto(server.socket.get(), "pong", 4, 0, reinterpret_cast<sockaddr*>(&from), size) ==
          4);
  const Frame answer = rig.card.wait_for([](const Frame& frame) { return is_ip(frame, 17); });
  CHECK(std::memcmp(&answer.at(42), "pong", 4) == 0);
}

TEST_CASE("user net: a TCP connection to a forwarded port becomes a SYN to the guest's port") {
  const std::uint16_t port = free_port(SOCK_STREAM);
  UserNetRig rig({{.udp = false, .host_port = port, .guest_port = 22}});
  const base::Fd client = connect_to(port, SOCK_STREAM);
  rig.card.wait_for([](const Frame& frame) { return is_arp(frame, 1); });
  rig.send(arp(2, kGateway));
  const Frame syn = rig.card.wait_for([](const Frame& frame) { return is_ip(frame, 6); });
  CHECK(std::memcmp(&syn.at(30), kGuest.data(), 4) == 0);
  CHECK(get16(syn, 36) == 22);
  CHECK((syn.at(47) & 0x3F) == 0x02);
}

TEST_CASE("user net: a connection from before a restore is reset, not left hanging") {
  UserNetRig rig;
  rig.send(tcp_ack(kGuest, kGateway, 40'000, 22));
  rig.card.wait_for([](const Frame& frame) { return is_arp(frame, 1); });
  rig.send(arp(2, kGateway));
  const Frame answer = rig.card.wait_for([](const Frame& frame) { return is_ip(frame, 6); });
  CHECK(get16(answer, 36) == 40'000);
  CHECK((answer.at(47) & 0x04) != 0);  // RST
}

TEST_CASE("user net: a datagram to a forwarded port reaches the guest's port") {
  const std::uint16_t port = free_port(SOCK_DGRAM);
  UserNetRig rig({{.udp = true, .host_port = port, .guest_port = 53}});
  rig.send(arp(1, kGateway));
  const base::Fd client = connect_to(port, SOCK_DGRAM);
  REQUIRE(::send(client.get(), "hello", 5, 0) == 5);
  const Frame frame = rig.card.wait_for([](const Frame& got) { return is_ip(got, 17); });
  CHECK(get16(frame, 36) == 53);
  CHECK(std::memcmp(&frame.at(42), "hello", 5) == 0);
}

TEST_CASE("user net: released ports can be had by somebody else, and claimed again") {
  const std::uint16_t port = free_port(SOCK_STREAM);
  UserNetRig rig({{.udp = false, .host_port = port, .guest_port = 22}});
  const bool is_parked = GENERATE(false, true);                // as in a machine at rest
  std::this_thread::sleep_for(std::chrono::milliseconds(20));  // until the loop sleeps
  if (is_parked) rig.loop->pause();
  rig.net->release_ports();
  {
    UserNetRig other({{.udp = false, .host_port = port, .guest_port = 22}});
    CHECK_FALSE(rig.net->claim_ports());
  }
  CHECK(rig.net->claim_ports());
  if (is_parked) rig.loop->resume();
  const base::Fd client = connect_to(port, SOCK_STREAM);
  rig.card.wait_for([](const Frame& frame) { return is_arp(frame, 1); });
}

TEST_CASE("user net: a port in use is refused by number, with a remedy") {
  const bool is_udp = GENERATE(false, true);
  const Bound taken(is_udp ? SOCK_DGRAM : SOCK_STREAM);
  if (!is_udp) REQUIRE(::listen(taken.socket.get(), 1) == 0);
  auto loop = EventLoop::create("test").value();
  const auto net =
      UserNet::create({*loop}, {{.udp = is_udp, .host_port = taken.port, .guest_port = 22}});
  REQUIRE_FALSE(net.has_value());
  CHECK(net.error().kind() == base::ErrorKind::kBusy);
  CHECK_THAT(net.error().message(),
             Catch::Contains(fmt::format("port {} of 127.0.0.1", taken.port)) &&
                 Catch::Contains("choose another host port"));
}

TEST_CASE("user net: the same host port twice is refused") {
  const std::uint16_t port = free_port(SOCK_STREAM);
  auto loop = EventLoop::create("test").value();
  const std::vector<UserNetForward> twice(2, {.host_port = port, .guest_port = 22});
  CHECK_FALSE(UserNet::create({*loop}, twice).has_value());
}

TEST_CASE("user net: port 0 is refused") {
  auto loop = EventLoop::create("test").value();
  CHECK_FALSE(UserNet::create({*loop}, {{.host_port = 0, .guest_port = 22}}).has_value());
  CHECK_FALSE(UserNet::create({*loop}, {{.host_port = 2222, .guest_port = 0}}).has_value());
}

TEST_CASE("user net: a port is free again when the network is gone") {
  const std::uint16_t port = free_port(SOCK_STREAM);
  { const UserNetRig rig({{.host_port = port, .guest_port = 22}}); }
  { const UserNetRig rig({{.host_port = port, .guest_port = 22}}); }
}

TEST_CASE("user net: frames the card refuses wait, in order and not without limit") {
  UserNetRig rig;
  rig.card.accept(false);
  for (int i = 0; i < 400; ++i) rig.send(arp(1, kGateway));
  CHECK(rig.card.count() == 0);
  rig.card.accept(true);
  rig.loop->run_sync([&] { rig.net->room_again(); });
  CHECK(rig.card.count() == 256);
  rig.send(dhcp_discover());
  rig.card.wait_for([](const Frame& frame) { return is_ip(frame, 17); });
}

TEST_CASE("user net: rubbish from the guest is dropped") {
  UserNetRig rig;
  rig.send({});
  rig.send(Frame(13));
  rig.send(Frame(70'000, 0xFF));
  for (std::size_t size = 14; size < 60; ++size) {
    for (const unsigned type : {0x0800U, 0x0806U, 0x86DDU, 0x88F8U}) {
      Frame frame = ethernet(kBroadcast, type);
      frame.resize(size, 0x45);
      rig.send(frame);
    }
  }
  rig.send(arp(1, kGateway));
  rig.card.wait_for([](const Frame& frame) { return is_arp(frame, 2); });
}

TEST_CASE("user net: a library that is missing is named with its package") {
  const auto library = SlirpLibrary::load("libslirp.so.no-such-version");
  REQUIRE_FALSE(library.has_value());
  CHECK(library.error().kind() == base::ErrorKind::kUnsupported);
  CHECK_THAT(library.error().message(), Catch::Contains("libslirp.so.no-such-version") &&
                                            Catch::Contains("apt-get install libslirp0"));
}

TEST_CASE("user net: a library that is something else is refused") {
  CHECK_FALSE(SlirpLibrary::load("libm.so.6").has_value());
}

}  // namespace
}  // namespace stasis::devices
