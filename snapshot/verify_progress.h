#pragma once

#include <cstdint>

#include "base/result.h"
#include "snapshot/vm_control.h"

namespace stasis::snapshot {

/// Tells an observer how many bytes were checked, and stops when it wants.
class VerifyProgress {
 public:
  VerifyProgress(WorkObserver* observer, std::uint64_t total_bytes)
      : observer_(observer), total_(total_bytes) {}

  /// kCancelled when the observer says so.
  base::Status add(std::uint64_t bytes) {
    done_ += bytes;
    if (observer_ == nullptr) return {};
    observer_->progressed(done_ < total_ ? done_ : total_, total_);
    if (!observer_->is_cancelled()) return {};
    return base::fail(base::ErrorKind::kCancelled, "checking the snapshot was cancelled");
  }

 private:
  WorkObserver* observer_;  // may be null
  std::uint64_t done_ = 0;
  std::uint64_t total_;
};

}  // namespace stasis::snapshot
