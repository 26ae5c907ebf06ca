#include "devices/console/stdio_console.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "devices/console/terminal_mode.h"

namespace stasis::devices {
namespace {

constexpr std::size_t kReadAhead = 64 * 1024;  // with the escape key
constexpr int kBackgroundLookMs = 500;

}  // namespace

StdioConsole::StdioConsole(Wiring wiring)
    : wiring_(wiring),
      filter_(wiring.actions),
      output_(wiring.loop, wiring.out, "standard output"),
      room_(wiring.loop, [this] { deliver(); }) {}

StdioConsole::~StdioConsole() {
  if (receiver_ == nullptr) return;
  receiver_->set_input_gate(nullptr);
  wiring_.loop.run_sync([this] { wiring_.loop.remove_hook(*this); });
}

void StdioConsole::connect(ByteReceiver& receiver) {
  receiver_ = &receiver;
  receiver.set_input_gate(this);
  wiring_.loop.run_sync([this] {
    input_ = Input::kOpen;
    wiring_.loop.add_hook(*this);
  });
}

bool StdioConsole::wants_input() const {
  const std::size_t limit = wiring_.escape_key ? kReadAhead : 1;
  return input_ == Input::kOpen && undelivered_.size() < limit;
}

void StdioConsole::before_poll(std::vector<pollfd>& fds, int& timeout_ms) {
  if (wants_input()) fds.push_back({wiring_.in, POLLIN, 0});
  if (input_ != Input::kInBackground) return;
  if (timeout_ms < 0 || timeout_ms > kBackgroundLookMs) timeout_ms = kBackgroundLookMs;
}

void StdioConsole::after_poll(std::span<const pollfd> fds) {
  if (input_ == Input::kInBackground) {
    look_for_foreground();
  } else if (!fds.empty() && fds[0].revents != 0) {
    read_input();
  }
}

/// Called when a read will not block. Reading in the background would stop the process, or fail
/// without end where the signal is blocked.
void StdioConsole::read_input() {
  if (in_background_of(wiring_.in)) {
    input_ = Input::kInBackground;
    return;
  }
  std::array<std::uint8_t, 1024> typed;
  const ssize_t got = ::read(wiring_.in, typed.data(), typed.size());
  if (got > 0) {
    take_typed(std::span(typed).first(static_cast<std::size_t>(got)));
  } else if (got == 0 || (errno != EINTR && errno != EAGAIN && !in_background_of(wiring_.in))) {
    input_ = Input::kEnded;
  }
}

void StdioConsole::take_typed(std::span<const std::uint8_t> typed) {
  if (wiring_.escape_key) {
    const auto kept = filter_.filter(typed);
    undelivered_.insert(undelivered_.end(), kept.begin(), kept.end());
  } else {
    undelivered_.insert(undelivered_.end(), typed.begin(), typed.end());
  }
  deliver();
}

void StdioConsole::deliver() {
  if (receiver_ == nullptr || undelivered_.empty()) return;
  const std::size_t taken = receiver_->receive(undelivered_);
  undelivered_.erase(undelivered_.begin(),
                     undelivered_.begin() + static_cast<std::ptrdiff_t>(taken));
}

void StdioConsole::look_for_foreground() {
  if (in_background_of(wiring_.in)) return;
  input_ = Input::kOpen;
  wiring_.actions.terminal_regained();
}

}  // namespace stasis::devices
