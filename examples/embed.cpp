// A test harness with machines of its own: boots a guest, snapshots it while it runs, lets it go
// on, takes it back, and runs two machines side by side.
//
//     c++ -std=c++20 embed.cpp $(pkg-config --cflags --libs --static stasis) -o embed
//     ./embed KERNEL [TEXT]     TEXT: what the guest prints again and again; default "tick"
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "snapshot/uuid.h"
#include "snapshot/virtual_machine.h"
#include "snapshot/vm_directory.h"
#include "snapshot/work_slot.h"

namespace {

using namespace stasis;

[[noreturn]] void give_up(const base::Error& error) {
  std::fprintf(stderr, "embed: %s\n", error.message().c_str());
  std::exit(1);
}

template <typename T>
T must(base::Result<T> result) {
  if (!result) give_up(result.error());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// Keeps what a guest prints and waits for it.
class Transcript final : public devices::ByteSink {
 public:
  void write(std::span<const std::uint8_t> bytes) override {
    const std::lock_guard lock(mutex_);
    text_.append(bytes.begin(), bytes.end());
    changed_.notify_all();
  }
  /// Waits until `word` was printed `times` times since the last call of `forget`.
  void wait_for(const std::string& word, unsigned times) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return count(word) >= times; });
  }
  void forget() {
    const std::lock_guard lock(mutex_);
    text_.clear();
  }

 private:
  unsigned count(const std::string& word) const {
    unsigned found = 0;
    for (auto at = text_.find(word); at != std::string::npos; at = text_.find(word, at + 1)) {
      ++found;
    }
    return found;
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string text_;
};

/// A console without a keyboard.
class NoInput final : public snapshot::ConsoleInput {
 public:
  void attach(devices::ByteReceiver&) override {}
  void detach() override {}
};

/// One machine with what it prints.
struct Guest {
  Transcript console;
  NoInput input;
  std::unique_ptr<snapshot::VirtualMachine> vm;
};

std::unique_ptr<Guest> make_guest(const std::string& root, const std::string& name,
                                  const std::string& kernel) {
  snapshot::VmConfig config;
  config.id = must(snapshot::make_uuid());
  config.machine.name = name;
  config.machine.kernel = kernel;
  config.machine.cmdline = "console=ttyS0";
  config.machine.memory_bytes = std::uint64_t{64} << 20;
  auto guest = std::make_unique<Guest>();
  auto [directory, lock] = must(snapshot::VmDirectory::create(root, config));
  guest->vm = must(snapshot::VirtualMachine::open(std::move(directory), std::move(lock),
                                                  {guest->console, guest->input}));
  return guest;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    std::fprintf(stderr, "usage: embed KERNEL [TEXT]\n");
    return 2;
  }
  const std::string kernel = std::filesystem::absolute(words[1]);
  const std::string text = count > 2 ? words[2] : "tick";
  char root[] = "/tmp/stasis-embed-XXXXXX";
  if (::mkdtemp(root) == nullptr) return 1;

  auto first = make_guest(root, "first", kernel);
  auto second = make_guest(root, "second", kernel);
  must(first->vm->start());
  must(second->vm->start());
  first->console.wait_for(text, 2);

  snapshot::Unobserved nobody;
  const auto snapshot = must(first->vm->create_snapshot({.name = "warm"}, nobody));
  std::printf("snapshot \"%s\": %s, paused for %llu us\n", snapshot.name.c_str(),
              snapshot.capture.engine.c_str(),
              static_cast<unsigned long long>(snapshot.capture.pause_us));

  for (int round = 0; round < 3; ++round) {
    must(first->vm->power_off());
    first->console.forget();
    must(first->vm->start_from(snapshot.id, {}));
    first->console.wait_for(text, 2);
  }
  second->console.wait_for(text, 2);
  std::printf("three runs from the snapshot; the second machine ran on\n");

  first.reset();
  second.reset();
  std::filesystem::remove_all(root);
  return 0;
}
