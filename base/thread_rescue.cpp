#include "base/thread_rescue.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <ctime>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/short_turns.h"

namespace stasis::base {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::nanoseconds;

constexpr nanoseconds kInterval = std::chrono::microseconds(500);
constexpr int kRestShare = 20;  // of the time that a look takes
constexpr int kRanShare = 8;    // who ran less than this part of the time did not run
constexpr int kLooksInPlace = 8;

/// Not what passes while the caller stands behind others himself.
nanoseconds own_cpu_time() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return std::chrono::seconds(time.tv_sec) + nanoseconds(time.tv_nsec);
}

/// What is known of one thread from the last look at it.
struct Past {
  nanoseconds ran{};  // CPU time that it had had
  bool has_waited = false;
};

}  // namespace

class ThreadRescue::Rescuer {
 public:
  explicit Rescuer(std::shared_ptr<const ThreadWatches> threads)
      : threads_(std::move(threads)),
        pasts_(threads_->size()),
        separation_(threads_, Separation::From::kAwake) {
    thread_ = std::thread([this] { run(); });
  }
  ~Rescuer() {
    {
      const std::lock_guard lock(mutex_);
      is_over_ = true;
    }
    over_.notify_all();
    thread_.join();
  }
  Rescuer(const Rescuer&) = delete;
  Rescuer& operator=(const Rescuer&) = delete;

 private:
  void run() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    pthread_setname_np(pthread_self(), "rescue");
    take_short_turns();  // to look at once when it is time
    std::unique_lock lock(mutex_);
    for (int looks = 0; !is_over_; ++looks) {
      const nanoseconds begin = own_cpu_time();
      const bool has_moved = look();
      if (has_moved || looks % kLooksInPlace == 0) separation_.look();
      const nanoseconds rest = std::max(kInterval, (own_cpu_time() - begin) * kRestShare);
      over_.wait_for(lock, rest, [this] { return is_over_; });
    }
  }

  /// Whether somebody was moved, perhaps to this thread's CPU.
  bool look() {
    const auto now = Clock::now();
    const auto since_last = now - std::exchange(last_, now);
    bool has_moved = false;
    for (std::size_t i = 0; i < pasts_.size(); ++i) {
      has_moved = rescues((*threads_)[i], pasts_[i], since_last) || has_moved;
    }
    return has_moved;
  }

  /// Seen twice: a thread that sleeps most of the time has hardly run either when it is awake.
  bool rescues(const ThreadWatch& thread, Past& past, nanoseconds since_last) const {
    const auto ran = thread.cpu_time();
    if (!ran) return false;
    const bool has_run = *ran - std::exchange(past.ran, *ran) >= since_last / kRanShare;
    const bool waits = !has_run && thread.cpu_in_use();
    return std::exchange(past.has_waited, waits) && waits && take_to_free_cpu(thread, *threads_);
  }

  const std::shared_ptr<const ThreadWatches> threads_;
  std::vector<Past> pasts_;  // the thread's own, as the next two
  Separation separation_;
  Clock::time_point last_{};
  std::mutex mutex_;
  std::condition_variable over_;
  bool is_over_ = false;  // guarded by mutex_
  std::thread thread_;    // last: it uses the rest
};

ThreadRescue::ThreadRescue(std::shared_ptr<const ThreadWatches> threads) {
  if (!threads || threads->empty()) return;
  try {
    rescuer_ = std::make_unique<Rescuer>(std::move(threads));
  } catch (const std::system_error&) {  // no thread to be had
  }
}

ThreadRescue::~ThreadRescue() = default;

}  // namespace stasis::base
