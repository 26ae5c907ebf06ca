#include "devices/event_loop.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <utility>

#include "base/short_turns.h"

namespace stasis::devices {

base::Result<std::unique_ptr<EventLoop>> EventLoop::create(std::string name) {
  base::Fd wake = TRY(base::make_eventfd());
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(name), std::move(wake)));
}

EventLoop::EventLoop(std::string name, base::Fd wake)
    : name_(std::move(name)), wake_(std::move(wake)) {}

EventLoop::~EventLoop() {
  {
    const std::lock_guard lock(mutex_);
    phase_ = Phase::kStopping;
  }
  changed_.notify_all();
  base::signal_eventfd(wake_);
  if (thread_.joinable()) thread_.join();
}

void EventLoop::open() {
  const std::lock_guard lock(mutex_);
  if (phase_ == Phase::kIdle) phase_ = Phase::kRunning;
}

void EventLoop::start() {
  if (thread_.joinable()) return;
  open();
  thread_ = std::thread([this] { run(); });
}

void EventLoop::watch(int fd, short events, Callback callback) {
  leave_poll();
  watches_[fd] = {events, std::make_shared<Callback>(std::move(callback))};
}

void EventLoop::unwatch(int fd) {
  leave_poll();
  watches_.erase(fd);
}

void EventLoop::add_hook(PollHook& hook) {
  leave_poll();
  hooks_.push_back(&hook);
}

void EventLoop::remove_hook(PollHook& hook) {
  leave_poll();
  std::erase(hooks_, &hook);
}

void EventLoop::post(Callback task) {
  {
    const std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  base::signal_eventfd(wake_);
}

void EventLoop::run_sync(const Callback& task) {
  if (on_loop_thread()) return task();
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kIdle || phase_ == Phase::kParked) {
    lock.unlock();
    leave_poll();
    return task();
  }
  bool done = false;
  posted_.push_back([&] {
    task();
    const std::lock_guard relock(mutex_);
    done = true;
    changed_.notify_all();
  });
  base::signal_eventfd(wake_);
  changed_.wait(lock, [&] { return done || phase_ == Phase::kStopping; });
}

/// Waking a sleeping loop to tell it would take two switches of threads, while a guest stands
/// still.
void EventLoop::pause() {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kRunning) return;
  if (is_asleep_ && posted_.empty()) {
    phase_ = Phase::kParked;
    return;
  }
  phase_ = Phase::kPausing;
  base::signal_eventfd(wake_);
  changed_.wait(lock, [this] { return phase_ != Phase::kPausing; });
}

void EventLoop::resume() {
  {
    const std::lock_guard lock(mutex_);
    if (phase_ != Phase::kParked) return;
    phase_ = Phase::kRunning;
  }
  changed_.notify_all();
}

void EventLoop::keep_off(std::shared_ptr<const base::ThreadWatches> others) {
  post([this, others = std::move(others)] { others_.emplace(others); });
}

void EventLoop::run() {
  // Signals are for the process's main thread and for vCPU threads.
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  base::take_short_turns();
  {
    const std::lock_guard lock(mutex_);
    thread_id_ = std::this_thread::get_id();
  }
  while (park_or_stop()) {
    run_posted();
    poll_once();
  }
}

/// Parks while told to; false when the thread shall end.
bool EventLoop::park_or_stop() {
  std::unique_lock lock(mutex_);
  if (phase_ == Phase::kPausing) {
    lock.unlock();
    run_posted();
    lock.lock();
  }
  if (phase_ == Phase::kPausing) {
    phase_ = Phase::kParked;
    changed_.notify_all();
    changed_.wait(lock, [this] { return phase_ != Phase::kParked; });
  }
  return phase_ != Phase::kStopping;
}

void EventLoop::run_posted() {
  std::vector<Callback> tasks;
  {
    const std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (const auto& task : tasks) task();
}

/// False when it is to park or to end first.
bool EventLoop::fall_asleep() {
  const std::lock_guard lock(mutex_);
  is_asleep_ = phase_ == Phase::kRunning;
  return is_asleep_;
}

/// False when it was parked meanwhile, or is to end: what it was woken for may be out of date.
bool EventLoop::wake_up() {
  std::unique_lock lock(mutex_);
  is_asleep_ = false;
  if (phase_ != Phase::kParked) return phase_ == Phase::kRunning;
  changed_.notify_all();
  changed_.wait(lock, [this] { return phase_ != Phase::kParked; });
  return false;
}

/// For who is about to change what a parked loop waits for: it has the old list in its hands while
/// it sleeps, and a descriptor that is closed meanwhile, a port for example, stays open for it.
void EventLoop::leave_poll() {
  std::unique_lock lock(mutex_);
  if (phase_ != Phase::kParked || !is_asleep_) return;
  base::signal_eventfd(wake_);
  changed_.wait(lock, [this] { return !is_asleep_; });
}

void EventLoop::poll_once() {
  std::vector<pollfd> fds;
  fds.push_back({wake_.get(), POLLIN, 0});
  for (const auto& [fd, watch] : watches_) fds.push_back({fd, watch.events, 0});
  const std::size_t watched = fds.size();
  int timeout_ms = -1;
  std::vector<std::size_t> ends;
  for (PollHook* hook : hooks_) {
    hook->before_poll(fds, timeout_ms);
    ends.push_back(fds.size());
  }
  if (!fall_asleep()) return;
  const int answers = ::poll(fds.data(), fds.size(), timeout_ms);
  if (!wake_up() || answers < 0) return;
  look_for_others();  // before any work: whom it wakes may take the CPU, and a vCPU go next
  if (fds[0].revents != 0) base::drain_eventfd(wake_);
  dispatch(std::span(fds).subspan(1, watched - 1));
  std::size_t begin = watched;
  const auto hooks = hooks_;  // a hook may remove itself
  for (std::size_t i = 0; i < ends.size() && i < hooks.size(); ++i) {
    hooks[i]->after_poll(std::span(fds).subspan(begin, ends[i] - begin));
    begin = ends[i];
  }
}

/// When it was moved, and for a hundredth of its time at most, as the others may have been.
void EventLoop::look_for_others() {
  constexpr int kPart = 100;
  if (!others_) return;
  const auto begin = std::chrono::steady_clock::now();
  if (begin < next_look_ && ::sched_getcpu() == cpu_) return;
  others_->look();
  cpu_ = ::sched_getcpu();
  const auto end = std::chrono::steady_clock::now();
  next_look_ = end + kPart * (end - begin);
}

void EventLoop::dispatch(std::span<const pollfd> fds) {
  for (const pollfd& answered : fds) {
    if (answered.revents == 0) continue;
    const auto found = watches_.find(answered.fd);
    if (found == watches_.end()) continue;  // an earlier callback of this round removed it
    const auto callback = found->second.callback;
    (*callback)();
  }
}

}  // namespace stasis::devices
