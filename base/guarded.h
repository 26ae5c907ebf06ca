#pragma once

#include <mutex>
#include <utility>

namespace stasis::base {

/// A value that can be reached only while its lock is held:
/// `guarded.with([](State& state) { ... });`. Lock order: docs/architecture.md.
template <typename T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  /// Calls `action(value)` under the lock and returns what it returns (by value).
  template <typename Action>
  auto with(Action&& action) {
    const std::lock_guard lock(mutex_);
    return std::forward<Action>(action)(value_);
  }
  template <typename Action>
  auto with(Action&& action) const {
    const std::lock_guard lock(mutex_);
    return std::forward<Action>(action)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_{};
};

}  // namespace stasis::base
