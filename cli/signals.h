#pragma once

#include <signal.h>

#include <optional>

#include "base/fd.h"
#include "base/result.h"

namespace stasis::cli {

/// SIGINT, SIGTERM, SIGHUP and SIGPWR as a descriptor (signalfd(2)) instead of sudden death, and
/// SIGPIPE ignored, so that a reader that goes away ends the output and not the guest.
/// Threads: made before any other thread, which then inherit the blocked signals.
class Signals {
 public:
  static base::Result<Signals> take_over();

  Signals(Signals&&) = default;
  Signals& operator=(Signals&&) = default;

  /// Readable when one has come.
  const base::Fd& event() const { return fd_; }

  /// The number of the next signal that has come; nothing when there is none.
  std::optional<int> next() const;

  /// Lets them kill again: for the last part of the way, which could hang.
  void give_back() const;

 private:
  Signals(base::Fd fd, sigset_t set) : fd_(std::move(fd)), set_(set) {}
  base::Fd fd_;
  sigset_t set_;
};

}  // namespace stasis::cli
