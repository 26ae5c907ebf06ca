#pragma once

#include <atomic>
#include <memory>
#include <utility>

#include "devices/event_loop.h"

namespace stasis::devices {

/// Work that its owner asks an event loop to do soon. Asked for several times before it ran, it
/// runs once; never after the owner is gone, which a plain `EventLoop::post` cannot promise.
class LoopTask {
 public:
  /// `run` is called on the loop's thread. The loop must outlive the task.
  LoopTask(EventLoop& loop, EventLoop::Callback run)
      : loop_(loop), work_(std::make_shared<Work>(std::move(run))) {}
  LoopTask(const LoopTask&) = delete;
  LoopTask& operator=(const LoopTask&) = delete;

  ~LoopTask() { cancel(); }

  /// On return `run` is not being called and never will be.
  void cancel() {
    loop_.run_sync([this] { work_->run = nullptr; });
  }

  /// Threads: any. Never blocks for long.
  void request() {
    if (work_->requested.exchange(true)) return;
    loop_.post([work = work_] {
      work->requested = false;
      if (work->run) work->run();
    });
  }

 private:
  struct Work {
    explicit Work(EventLoop::Callback callback) : run(std::move(callback)) {}
    EventLoop::Callback run;  // loop thread only
    std::atomic<bool> requested{false};
  };

  EventLoop& loop_;
  std::shared_ptr<Work> work_;
};

}  // namespace stasis::devices
