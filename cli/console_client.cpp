#include "cli/console_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cli/fatal_signals.h"
#include "cli/say.h"
#include "cli/signals.h"
#include "cli/unix_socket.h"
#include "devices/console/escape_filter.h"
#include "devices/console/terminal_mode.h"

namespace stasis::cli {
namespace {

using base::Fd;
using base::Result;

constexpr std::string_view kHelp =
    "Ctrl-] x   detach; the machine runs on\n"
    "Ctrl-] ?   this help\n"
    "Ctrl-] Ctrl-]   send Ctrl-] to the guest";

class Attachment final : private devices::ConsoleActions {
 public:
  Attachment(Fd connection, Signals signals)
      : connection_(std::move(connection)), signals_(std::move(signals)) {}
  ~Attachment() override {
    if (terminal_) restore_at_fatal_signal(nullptr);
  }

  base::Status take_terminal();
  Detachment run();

 private:
  void quit() override { is_quit_ = true; }
  void show_help() override { say(kHelp); }

  bool wants_input() const;
  void read_typed();
  bool pass_on_output();
  void send_typed();

  Fd connection_;
  Signals signals_;
  std::unique_ptr<devices::TerminalMode> terminal_;
  devices::EscapeFilter filter_{*this};
  std::vector<std::uint8_t> unsent_;
  bool has_input_ = true;
  bool is_quit_ = false;
};

/// A guest that takes no input lets the socket fill up; the escape key must work even then.
bool Attachment::wants_input() const {
  constexpr std::size_t kReadAhead = 64 * 1024;
  return has_input_ && unsent_.size() < (terminal_ ? kReadAhead : 1);
}

base::Status Attachment::take_terminal() {
  if (::isatty(STDIN_FILENO) != 1) return {};
  terminal_ = TRY(devices::TerminalMode::make_raw(STDIN_FILENO));
  restore_at_fatal_signal(terminal_.get());
  return {};
}

Detachment Attachment::run() {
  for (;;) {
    const short to_send = unsent_.empty() ? 0 : POLLOUT;
    std::array<pollfd, 3> events = {{{connection_.get(), static_cast<short>(POLLIN | to_send), 0},
                                     {signals_.event().get(), POLLIN, 0},
                                     {wants_input() ? STDIN_FILENO : -1, POLLIN, 0}}};
    ::poll(events.data(), events.size(), -1);
    if (events[1].revents != 0 && signals_.next().value_or(SIGPWR) != SIGPWR) {
      return Detachment::kByUser;
    }
    if (events[0].revents != 0 && !pass_on_output()) return Detachment::kByEnd;
    if (events[2].revents != 0) read_typed();
    send_typed();
    if (is_quit_) return Detachment::kByUser;
  }
}

void Attachment::read_typed() {
  std::array<std::uint8_t, 1024> typed;
  const ssize_t count = ::read(STDIN_FILENO, typed.data(), typed.size());
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return;
  if (count <= 0) {
    has_input_ = false;
    return;
  }
  const auto bytes = std::span(typed).first(static_cast<std::size_t>(count));
  if (terminal_) {
    const auto kept = filter_.filter(bytes);
    unsent_.insert(unsent_.end(), kept.begin(), kept.end());
  } else {
    unsent_.insert(unsent_.end(), bytes.begin(), bytes.end());
  }
}

void Attachment::send_typed() {
  if (unsent_.empty()) return;
  const ssize_t count =
      ::send(connection_.get(), unsent_.data(), unsent_.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count > 0) unsent_.erase(unsent_.begin(), unsent_.begin() + count);
}

/// False at the end.
bool Attachment::pass_on_output() {
  std::array<char, 16384> bytes;
  const ssize_t count = ::recv(connection_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
  if (count < 0 && (errno == EINTR || errno == EAGAIN)) return true;
  if (count <= 0) return false;
  is_quit_ = is_quit_ || !print({bytes.data(), static_cast<std::size_t>(count)});
  return true;
}

}  // namespace

Result<Detachment> attach_console(const std::string& name, const std::string& socket_path) {
  Fd connection = TRY(connect_to(socket_path));
  Signals signals = TRY(Signals::take_over());
  Attachment attachment(std::move(connection), std::move(signals));
  TRY(attachment.take_terminal());
  if (::isatty(STDIN_FILENO) == 1) say(fmt::format("{}: attached; leave with Ctrl-] x", name));
  return attachment.run();
}

}  // namespace stasis::cli
