#pragma once

#include <termios.h>

#include <atomic>
#include <memory>

#include "base/result.h"

namespace stasis::devices {

/// Raw mode of a terminal for as long as this lives: every key reaches the guest, Ctrl-C included;
/// output processing stays as it was, so that messages of ours keep their line ends.
///
/// Fatal signals: `restore` is async-signal-safe and touches only this object. A program that takes
/// SIGINT, SIGTERM and SIGHUP through signalfd needs no more than the destructor; for SIGSEGV,
/// SIGABRT and the like its handler needs a way to this object: one pointer that the program owns,
/// set to it after `make_raw` returned, cleared before the destructor.
///
/// A process in the background of its terminal leaves it alone: it belongs to the shell then.
/// Threads: one; `restore` any, any context.
class TerminalMode {
 public:
  /// Sets raw mode now, or, while in the background, only in `make_raw_again`.
  /// kInvalidArgument: `fd` is no terminal.
  static base::Result<std::unique_ptr<TerminalMode>> make_raw(int fd);

  TerminalMode(const TerminalMode&) = delete;
  TerminalMode& operator=(const TerminalMode&) = delete;
  ~TerminalMode() { restore(); }

  /// Back to the mode from before. May be called any number of times.
  void restore() const noexcept;

  /// After the shell had the terminal: it may have changed the mode.
  void make_raw_again() noexcept;

 private:
  explicit TerminalMode(int fd) : fd_(fd) {}

  const int fd_;
  termios before_{};  ///< does not change once `is_raw_` is set
  std::atomic<bool> is_raw_{false};
};

/// Whether `fd` is this process's terminal and the shell gave it to another process group.
/// Async-signal-safe.
bool in_background_of(int fd) noexcept;

}  // namespace stasis::devices
