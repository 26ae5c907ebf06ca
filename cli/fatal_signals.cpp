#include "cli/fatal_signals.h"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace stasis::cli {
namespace {

// A handler is given nothing but the signal: what it works with cannot be anywhere else.
std::atomic<const devices::TerminalMode*> terminal_to_restore{nullptr};
std::atomic<int> note_fd{-1};
std::atomic<pid_t> note_owner{0};

struct FatalSignal {
  int number;
  const char* name;
  bool has_address;
};

constexpr std::array kFatalSignals = {
    FatalSignal{SIGSEGV, "SIGSEGV", true},  FatalSignal{SIGBUS, "SIGBUS", true},
    FatalSignal{SIGFPE, "SIGFPE", true},    FatalSignal{SIGILL, "SIGILL", true},
    FatalSignal{SIGABRT, "SIGABRT", false}, FatalSignal{SIGQUIT, "SIGQUIT", false}};

/// A line of at most 127 bytes, put together by async-signal-safe means only.
class NoteLine {
 public:
  void text(const char* words) {
    for (; *words != 0; ++words) put(*words);
  }
  void hexadecimal(std::uintptr_t value) {
    text("0x");
    int shift = 60;
    while (shift > 0 && ((value >> shift) & 15) == 0) shift -= 4;
    for (; shift >= 0; shift -= 4) put("0123456789abcdef"[(value >> shift) & 15]);
  }
  void put(char letter) {
    if (size_ < line_.size()) line_[size_++] = letter;
  }
  void write_to(int fd) const {
    if (::write(fd, line_.data(), size_) < 0) return;  // nothing else can be done
    ::fdatasync(fd);
  }

 private:
  std::array<char, 127> line_{};
  std::size_t size_ = 0;
};

void leave_note(int number, const siginfo_t& info) {
  if (note_fd < 0 || note_owner != ::getpid()) return;
  NoteLine line;
  for (const FatalSignal& one : kFatalSignals) {
    if (one.number != number) continue;
    line.text(one.name);
    const bool is_fault = one.has_address && info.si_code > 0;  // else sent by a process
    if (is_fault)
      line.text(number == SIGFPE || number == SIGILL ? " at instruction " : " at address ");
    if (is_fault) line.hexadecimal(reinterpret_cast<std::uintptr_t>(info.si_addr));
    if (info.si_code <= 0 && number != SIGABRT) line.text(" sent by another process");
  }
  line.put('\n');
  line.write_to(note_fd);
}

void die_in_order(int number, siginfo_t* info, void*) {
  leave_note(number, *info);
  const devices::TerminalMode* const terminal = terminal_to_restore.load();
  if (terminal != nullptr) terminal->restore();
  ::raise(number);  // SA_RESETHAND: now it kills
}

void take_fatal_signals() {
  struct sigaction action {};
  action.sa_sigaction = die_in_order;
  action.sa_flags = SA_SIGINFO | SA_RESETHAND | SA_NODEFER;
  for (const FatalSignal& one : kFatalSignals) ::sigaction(one.number, &action, nullptr);
}

}  // namespace

void restore_at_fatal_signal(const devices::TerminalMode* terminal) {
  terminal_to_restore = terminal;
  if (terminal != nullptr) take_fatal_signals();
}

void leave_note_at_fatal_signal(const base::Fd& note) {
  note_owner = ::getpid();
  note_fd = note.get();
  take_fatal_signals();
}

}  // namespace stasis::cli
