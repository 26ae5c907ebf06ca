#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>

#include "base/result.h"
#include "snapshot/vm_control.h"

namespace stasis::snapshot {

/// One machine does one piece of long work at a time; who comes meanwhile is told what it is (T63).
/// Threads: any.
class WorkSlot {
 public:
  /// The slot is taken as long as this lives. Passes progress on to `observer` and remembers it
  /// for those who are turned away.
  class Token final : public WorkObserver {
   public:
    Token(WorkSlot& slot, WorkObserver& observer) : slot_(&slot), observer_(observer) {}
    Token(const Token&) = delete;
    Token& operator=(const Token&) = delete;
    ~Token() override { slot_->release(); }

    void progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) override;
    bool is_cancelled() const override { return observer_.is_cancelled(); }
    void committing() override { observer_.committing(); }

   private:
    WorkSlot* slot_;
    WorkObserver& observer_;
  };

  /// Takes the slot for `what`, such as `creating snapshot "x"`. kBusy names the present work and
  /// how far it is.
  base::Result<std::unique_ptr<Token>> take(std::string what, WorkObserver& observer);

 private:
  void release();

  std::mutex mutex_;
  std::string what_;  // empty: free
  std::atomic<unsigned> percent_ = 0;
};

/// An observer of work that nobody watches.
class Unobserved final : public WorkObserver {
 public:
  void progressed(std::uint64_t, std::uint64_t) override {}
  bool is_cancelled() const override { return false; }
  void committing() override {}
};

}  // namespace stasis::snapshot
