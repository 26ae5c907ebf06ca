#include "snapshot/work_slot.h"

#include <fmt/format.h>

#include <utility>

namespace stasis::snapshot {

void WorkSlot::Token::progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) {
  if (total_bytes > 0) {
    const double part = static_cast<double>(done_bytes) / static_cast<double>(total_bytes);
    slot_->percent_ = static_cast<unsigned>(part * 100);
  }
  observer_.progressed(done_bytes, total_bytes);
}

base::Result<std::unique_ptr<WorkSlot::Token>> WorkSlot::take(std::string what,
                                                              WorkObserver& observer) {
  const std::lock_guard lock(mutex_);
  if (!what_.empty()) {
    return base::fail(
        base::ErrorKind::kBusy,
        fmt::format("busy: {}, {} %; try again when that is done", what_, percent_.load()));
  }
  what_ = std::move(what);
  percent_ = 0;
  return std::make_unique<Token>(*this, observer);
}

void WorkSlot::release() {
  const std::lock_guard lock(mutex_);
  what_.clear();
}

}  // namespace stasis::snapshot
