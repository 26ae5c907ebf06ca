#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>

#include "cli/signals.h"
#include "snapshot/vm_control.h"

namespace stasis::cli {

/// Long work in front of a terminal: a bar on standard error, if that is one, which goes when the
/// work is done. The first Ctrl-C (SIGINT, SIGTERM, SIGHUP) asks for cancellation, a second kills.
/// Made before any other thread.
class Progress final : public snapshot::WorkObserver {
 public:
  static base::Result<Progress> begin(std::string what);

  Progress(Progress&& other) noexcept;
  Progress& operator=(Progress&&) = delete;
  ~Progress() override;

  void progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) override;
  bool is_cancelled() const override;
  void committing() override;

 private:
  Progress(std::string what, Signals signals, bool is_shown)
      : what_(std::move(what)), signals_(std::move(signals)), is_shown_(is_shown) {}
  void show(const std::string& line) const;

  std::string what_;
  Signals signals_;
  bool is_shown_;
  mutable std::atomic<bool> is_cancelled_{false};
  std::mutex mutex_;
  std::chrono::steady_clock::time_point last_;  // of the line shown; guarded by mutex_
};

/// "creating snapshot  [#####.....]  42%  107 MiB of 256 MiB" in `columns` at most.
std::string progress_line(const std::string& what, std::uint64_t done_bytes,
                          std::uint64_t total_bytes, std::size_t columns);

}  // namespace stasis::cli
