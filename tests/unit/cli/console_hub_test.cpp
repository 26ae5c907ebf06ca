#include "cli/console_hub.h"

#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <catch2/catch.hpp>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <thread>

#include "cli/unix_socket.h"

namespace stasis::cli {
namespace {

using base::Fd;
namespace fs = std::filesystem;

/// A guest that keeps what it is given, `room` bytes at most.
class Guest final : public devices::ByteReceiver {
 public:
  std::size_t receive(std::span<const std::uint8_t> bytes) override {
    const std::lock_guard lock(mutex_);
    const std::size_t count = std::min(bytes.size(), room_);
    text_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
    room_ -= count;
    changed_.notify_all();
    return count;
  }
  void set_input_gate(devices::InputGate* gate) override { gate_ = gate; }

  void make_room(std::size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      room_ += bytes;
    }
    gate_->room_again();
  }

  bool wait_for(const std::string& text) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return text_ == text; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
  std::size_t room_ = 1000;
  devices::InputGate* gate_ = nullptr;
};

class Setup {
 public:
  Setup() {
    char name[] = "/tmp/stasis-hub-XXXXXX";
    root = ::mkdtemp(name);
    snapshot::VmConfig config;
    config.id = "01234567-89AB-CDEF-0123-456789ABCDEF";
    config.machine.name = "one";
    auto made = snapshot::VmDirectory::create(root, config);
    REQUIRE(made);
    socket_path = made->first.console_socket_path();
    hub = std::move(*ConsoleHub::open(made->first, config.machine.console));
    REQUIRE(hub->listen());
  }
  ~Setup() {
    hub.reset();
    fs::remove_all(root);
  }

  void print(const std::string& text) const {
    hub->write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  }

  std::string root;
  std::string socket_path;
  std::unique_ptr<ConsoleHub> hub;
};

/// What comes until `text` is there, the end of file, or ten seconds have passed.
std::string read_until(const Fd& connection, const std::string& text) {
  std::string seen;
  pollfd state{connection.get(), POLLIN, 0};
  while (seen.find(text) == std::string::npos && ::poll(&state, 1, 10'000) == 1) {
    std::array<char, 65536> bytes;
    const ssize_t count = ::read(connection.get(), bytes.data(), bytes.size());
    if (count <= 0) return seen + "<end>";
    seen.append(bytes.data(), static_cast<std::size_t>(count));
  }
  return seen;
}

TEST_CASE("who attaches is shown what was printed last, then all that comes") {
  Setup setup;
  setup.print(std::string(100'000, '.') + "before ");
  const auto first = connect_to(setup.socket_path);
  REQUIRE(first);
  const std::string replay = read_until(*first, "before ");
  CHECK(replay.size() == ConsoleHub::kReplay);
  const auto second = connect_to(setup.socket_path);
  CHECK(read_until(*second, "before ").ends_with("before "));
  setup.print("after");
  CHECK(read_until(*first, "after") == "after");
  CHECK(read_until(*second, "after") == "after");
}

TEST_CASE("what viewers type goes to the guest, and waits while that has no room") {
  Setup setup;
  Guest guest;
  setup.hub->input().attach(guest);
  const auto viewer = connect_to(setup.socket_path);
  const std::string text(1500, 'x');
  REQUIRE(::write(viewer->get(), text.data(), text.size()) == 1500);
  CHECK(guest.wait_for(text.substr(0, 1000)));
  guest.make_room(5000);
  CHECK(guest.wait_for(text));
  setup.hub->input().detach();
}

TEST_CASE("a viewer that goes leaves the others alone") {
  Setup setup;
  auto first = connect_to(setup.socket_path);
  const auto second = connect_to(setup.socket_path);
  setup.print("one");
  CHECK(read_until(*second, "one").ends_with("one"));
  first->reset();
  for (int i = 0; i < 100; ++i) setup.print("two");
  setup.print("end");
  CHECK(read_until(*second, "end").ends_with("end"));
}

TEST_CASE("viewers see the end of a machine after all that it printed") {
  Setup setup;
  const auto viewer = connect_to(setup.socket_path);
  setup.print("last words");
  CHECK(read_until(*viewer, "words") == "last words");
  setup.hub->set_on(false);
  CHECK(read_until(*viewer, "nothing") == "<end>");
  const auto late = connect_to(setup.socket_path);
  CHECK(read_until(*late, "nothing") == "last words<end>");
  setup.hub->set_on(true);
  const auto next = connect_to(setup.socket_path);
  setup.print(" anew");
  CHECK(read_until(*next, "anew") == "last words anew");
}

TEST_CASE("no more than so many attach, and those who went make room") {
  Setup setup;
  std::vector<Fd> viewers;
  for (std::size_t i = 0; i < ConsoleHub::kMaxViewers; ++i) {
    viewers.push_back(std::move(*connect_to(setup.socket_path)));
  }
  setup.print("x");
  for (const Fd& viewer : viewers) CHECK(read_until(viewer, "x") == "x");
  const auto refused = connect_to(setup.socket_path);
  CHECK(read_until(*refused, "nothing") == "<end>");
  viewers.clear();
  const auto later = connect_to(setup.socket_path);
  CHECK(read_until(*later, "x") == "x");
}

}  // namespace
}  // namespace stasis::cli
