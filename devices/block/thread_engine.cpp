#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>

#include "base/thread_placement.h"
#include "devices/block/io_engine.h"

namespace stasis::devices {
namespace {

class ThreadEngine final : public IoEngine {
 public:
  explicit ThreadEngine(base::Fd event) : event_(std::move(event)) {}
  ~ThreadEngine() override;
  ThreadEngine(const ThreadEngine&) = delete;
  ThreadEngine& operator=(const ThreadEngine&) = delete;

  std::string_view name() const override { return "threads"; }
  bool can(IoTask::Kind) const override { return true; }
  void submit(IoTask& task) override { queued_.push_back(&task); }
  void kick() override;
  const base::Fd& completion_event() const override { return event_; }
  void collect(std::vector<IoTask*>& ended) override;

 private:
  void run();
  IoTask* wait_for_task();

  const base::Fd event_;
  std::vector<IoTask*> queued_;  // the loop's thread only
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<IoTask*> waiting_;  // guarded by mutex_
  std::vector<IoTask*> ended_;   // guarded by mutex_
  bool stopping_ = false;        // guarded by mutex_
  std::thread thread_;
};

std::int64_t run_call(const IoTask& task) {
  const auto offset = static_cast<off_t>(task.offset);
  const auto size = static_cast<off_t>(task.size);
  const auto count = static_cast<int>(task.buffer_count);
  switch (task.kind) {
    case IoTask::Kind::kRead:
      return ::preadv(task.fd, task.buffers, count, offset);
    case IoTask::Kind::kWrite:
      return ::pwritev(task.fd, task.buffers, count, offset);
    case IoTask::Kind::kDataSync:
      return ::fdatasync(task.fd);
    case IoTask::Kind::kAllocate:
      return ::fallocate(task.fd, task.mode, offset, size);
    case IoTask::Kind::kDiscardDevice: {
      const std::array<std::uint64_t, 2> range{task.offset, task.size};
      return ::ioctl(task.fd, BLKDISCARD, range.data());
    }
  }
  errno = EINVAL;
  return -1;
}

ThreadEngine::~ThreadEngine() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void ThreadEngine::kick() {
  if (queued_.empty()) return;
  {
    const std::lock_guard lock(mutex_);
    waiting_.insert(waiting_.end(), queued_.begin(), queued_.end());
  }
  queued_.clear();
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  changed_.notify_one();
}

void ThreadEngine::collect(std::vector<IoTask*>& ended) {
  base::drain_eventfd(event_);
  const std::lock_guard lock(mutex_);
  ended.insert(ended.end(), ended_.begin(), ended_.end());
  ended_.clear();
}

void ThreadEngine::run() {
  // Signals are for other threads; SIGXFSZ, which a file size limit sends, would end the process.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), "block-io");
  base::take_cpus_of_process();
  while (IoTask* task = wait_for_task()) {
    const std::int64_t result = run_call(*task);
    task->result = result < 0 ? -errno : result;
    {
      const std::lock_guard lock(mutex_);
      ended_.push_back(task);
    }
    base::signal_eventfd(event_);
  }
}

/// The next task, or null when the thread shall end.
IoTask* ThreadEngine::wait_for_task() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
  if (waiting_.empty()) return nullptr;
  IoTask* task = waiting_.front();
  waiting_.pop_front();
  return task;
}

}  // namespace

base::Result<std::unique_ptr<IoEngine>> make_thread_engine() {
  base::Fd event = TRY(base::make_eventfd());
  return std::make_unique<ThreadEngine>(std::move(event));
}

}  // namespace stasis::devices
