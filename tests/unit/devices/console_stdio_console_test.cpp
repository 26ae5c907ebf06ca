#include "devices/console/stdio_console.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <chrono>
#include <mutex>
#include <string>
#include <thread>

namespace stasis::devices {
namespace {

/// Takes `capacity` bytes, then refuses until `make_room`.
class SmallReceiver : public ByteReceiver {
 public:
  explicit SmallReceiver(std::size_t capacity) : room_(capacity) {}

  std::size_t receive(std::span<const std::uint8_t> bytes) override {
    const std::lock_guard lock(mutex_);
    const std::size_t taken = std::min(room_, bytes.size());
    room_ -= taken;
    text_.append(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(taken));
    return taken;
  }
  void set_input_gate(InputGate* gate) override { gate_ = gate; }

  void make_room(std::size_t more) {
    {
      const std::lock_guard lock(mutex_);
      room_ += more;
    }
    gate_.load()->room_again();
  }
  bool has_gate() const { return gate_ != nullptr; }

  /// What came within two seconds, once there are `size` bytes.
  std::string wait_for(std::size_t size) {
    for (int i = 0; i < 2000; ++i) {
      {
        const std::lock_guard lock(mutex_);
        if (text_.size() >= size) return text_;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    const std::lock_guard lock(mutex_);
    return text_;
  }

 private:
  std::mutex mutex_;
  std::size_t room_;
  std::string text_;
  std::atomic<InputGate*> gate_{nullptr};
};

struct Actions : ConsoleActions {
  void quit() override { ++quits; }
  void show_help() override {}
  std::atomic<int> quits{0};
};

struct StdioRig {
  explicit StdioRig(std::size_t capacity, bool escape_key = true) : receiver(capacity) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    in = base::Fd(ends[0]);
    keyboard = base::Fd(ends[1]);
    out = base::open_file("/dev/null", O_WRONLY).value();
    console.emplace(StdioConsole::Wiring{.loop = *loop,
                                         .actions = actions,
                                         .in = in.get(),
                                         .out = out.get(),
                                         .escape_key = escape_key});
    console->connect(receiver);
    loop->start();
  }
  void type(std::string_view text) {
    REQUIRE(::write(keyboard.get(), text.data(), text.size()) == ssize_t(text.size()));
  }

  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  Actions actions;
  SmallReceiver receiver;
  base::Fd in;
  base::Fd keyboard;
  base::Fd out;
  std::optional<StdioConsole> console;
};

std::chrono::nanoseconds cpu_time() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

TEST_CASE("stdio console: what is typed reaches the receiver") {
  StdioRig rig(100);
  rig.type("hello");
  CHECK(rig.receiver.wait_for(5) == "hello");
}

TEST_CASE("stdio console: input that was refused comes after there is room again, in order") {
  StdioRig rig(3, GENERATE(false, true));
  rig.type("abcdef");
  CHECK(rig.receiver.wait_for(3) == "abc");
  rig.type("ghi");
  rig.receiver.make_room(2);
  CHECK(rig.receiver.wait_for(5) == "abcde");
  rig.receiver.make_room(100);
  CHECK(rig.receiver.wait_for(9) == "abcdefghi");
}

TEST_CASE("stdio console: the escape key works although the guest takes no input") {
  StdioRig rig(0);
  rig.type("abc\x1Dx");
  for (int i = 0; i < 2000 && rig.actions.quits == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(rig.actions.quits == 1);
}

TEST_CASE("stdio console: without the escape key every byte passes") {
  StdioRig rig(100, false);
  rig.type("\x1Dx");
  CHECK(rig.receiver.wait_for(2) == "\x1Dx");
  CHECK(rig.actions.quits == 0);
}

TEST_CASE("stdio console: at end of file the loop sleeps") {
  StdioRig rig(100);
  rig.type("last");
  rig.keyboard.reset();
  CHECK(rig.receiver.wait_for(4) == "last");
  rig.loop->run_sync([] {});
  const auto before = cpu_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(cpu_time() - before < std::chrono::milliseconds(50));
}

TEST_CASE("stdio console: a full receiver without the escape key does not make the loop spin") {
  StdioRig rig(0, false);
  rig.type("abc");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  rig.type("def");
  const auto before = cpu_time();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  CHECK(cpu_time() - before < std::chrono::milliseconds(50));
}

TEST_CASE("stdio console: the receiver's gate is taken back at the end") {
  StdioRig rig(100);
  CHECK(rig.receiver.has_gate());
  rig.console.reset();
  CHECK_FALSE(rig.receiver.has_gate());
}

}  // namespace
}  // namespace stasis::devices
