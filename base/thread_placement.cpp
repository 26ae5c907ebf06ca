#include "base/thread_placement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <ctime>
#include <string_view>

namespace stasis::base {
namespace {

/// The CPUs that a process or thread may use, if it can be told. Not where there are more than the
/// set has bits: such a kernel knows its caches.
std::optional<cpu_set_t> cpus_of(pid_t id) {
  cpu_set_t cpus;
  if (::sched_getaffinity(id, sizeof cpus, &cpus) != 0) return std::nullopt;
  return cpus;
}

std::optional<cpu_set_t> cpus_of(std::thread& thread) {
  cpu_set_t cpus;
  if (::pthread_getaffinity_np(thread.native_handle(), sizeof cpus, &cpus) != 0)
    return std::nullopt;
  return cpus;
}

/// One of those without a priority of their own (sched(7)).
void set_policy(int policy) {
  const sched_param none{};
  ::sched_setscheduler(0, policy, &none);
}

using Sight = std::optional<int> (ThreadWatch::*)() const;

cpu_set_t without_cpus_of(std::span<const ThreadWatch> others, Sight sight, cpu_set_t cpus) {
  for (const ThreadWatch& other : others) {
    if (const auto its = (other.*sight)()) CPU_CLR(static_cast<unsigned>(*its), &cpus);
  }
  return cpus;
}

/// A thread to one of `cpus`, bound to nothing but what it was; 0 is the caller.
void take_to(pid_t thread, const cpu_set_t& cpus, const cpu_set_t& all) {
  ::sched_setaffinity(thread, sizeof cpus, &cpus);
  ::sched_setaffinity(thread, sizeof all, &all);
}

}  // namespace

cpu_set_t only_cpu(int cpu) {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(static_cast<unsigned>(cpu), &one);
  return one;
}

/// A thread that is not asleep cannot run here at this moment, so it has moved when the first call
/// returns.
void wake_elsewhere(std::thread& thread, const std::function<void()>& wake) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(thread);  // its own: somebody may have bound it
  if (here < 0 || !all) return wake();
  cpu_set_t others = *all;
  CPU_CLR(static_cast<unsigned>(here), &others);
  if (CPU_COUNT(&others) == 0) return wake();
  ::pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);
  wake();
  ::pthread_setaffinity_np(thread.native_handle(), sizeof *all, &*all);
}

void work_elsewhere(std::thread& thread) {
  wake_elsewhere(thread, [] {});
}

Scheduling Scheduling::of_caller() {
  Scheduling now;
  now.cpus_ = cpus_of(0);
  const int policy = ::sched_getscheduler(0);
  if (policy == SCHED_OTHER || policy == SCHED_BATCH) now.policy_ = policy;
  return now;
}

void Scheduling::take() const {
  if (policy_) set_policy(*policy_);
  if (cpus_) ::sched_setaffinity(0, sizeof *cpus_, &*cpus_);
}

Stay::Stay() : before_(Scheduling::of_caller()) {
  const int here = ::sched_getcpu();
  if (here < 0) return;
  const cpu_set_t only_here = only_cpu(here);
  ::sched_setaffinity(0, sizeof only_here, &only_here);
  if (::sched_getscheduler(0) == SCHED_OTHER) set_policy(SCHED_BATCH);
}

void Stay::end() {
  if (!is_over_) before_.take();
  is_over_ = true;
}

ThreadWatch::ThreadWatch(pid_t thread, std::optional<clockid_t> clock)
    : thread_(thread),
      clock_(clock),
      stat_(::open(fmt::format("/proc/self/task/{}/stat", thread).c_str(), O_RDONLY | O_CLOEXEC)) {}

/// From the third and the 39th field of its `stat`; the second may have spaces and ends with the
/// last parenthesis.
std::optional<ThreadWatch::Sight> ThreadWatch::look() const {
  constexpr int kFieldsBefore = 36;  // behind the parenthesis
  std::array<char, 1024> bytes;
  const ssize_t size = ::pread(stat_.get(), bytes.data(), bytes.size(), 0);
  if (size <= 0) return std::nullopt;
  std::string_view text(bytes.data(), static_cast<std::size_t>(size));
  text.remove_prefix(std::min(text.size(), text.rfind(')') + 2));
  Sight sight{.is_awake = text.starts_with('R')};
  for (int i = 0; i < kFieldsBefore; ++i) {
    const auto end = text.find(' ');
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  std::from_chars(text.data(), text.data() + text.size(), sight.cpu);
  if (sight.cpu < 0) return std::nullopt;
  return sight;
}

std::optional<int> ThreadWatch::cpu() const {
  const auto sight = look();
  return sight ? std::optional(sight->cpu) : std::nullopt;
}

std::optional<int> ThreadWatch::cpu_in_use() const {
  const auto sight = look();
  return sight && sight->is_awake ? std::optional(sight->cpu) : std::nullopt;
}

std::optional<std::chrono::nanoseconds> ThreadWatch::cpu_time() const {
  timespec time{};
  if (!clock_ || ::clock_gettime(*clock_, &time) != 0) return std::nullopt;
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

void leave_cpus_of(std::span<const ThreadWatch> others) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(0);
  if (here < 0 || !all) return;
  const cpu_set_t free = without_cpus_of(others, &ThreadWatch::cpu, *all);
  const bool is_shared = !CPU_ISSET(static_cast<unsigned>(here), &free);
  if (!is_shared || CPU_COUNT(&free) == 0) return;
  take_to(0, free, *all);
}

bool take_to_free_cpu(const ThreadWatch& thread, std::span<const ThreadWatch> others) {
  const auto all = cpus_of(thread.id());
  if (!all) return false;
  const cpu_set_t free = without_cpus_of(others, &ThreadWatch::cpu_in_use, *all);
  if (CPU_COUNT(&free) == 0) return false;
  take_to(thread.id(), free, *all);
  return true;
}

cpu_set_t Separation::free_of_others() const {
  const auto sight = from_ == From::kAll ? &ThreadWatch::cpu : &ThreadWatch::cpu_in_use;
  const cpu_set_t free = without_cpus_of(*others_, sight, all_);
  return CPU_COUNT(&free) == 0 ? all_ : free;
}

void Separation::look() {
  if (!others_) return;
  const auto now = cpus_of(0);
  if (!now) return;
  if (!CPU_EQUAL(&*now, &bound_)) all_ = *now;
  const cpu_set_t wanted = free_of_others();
  if (CPU_EQUAL(&wanted, &*now)) return;
  if (::sched_setaffinity(0, sizeof wanted, &wanted) == 0) bound_ = wanted;
}

void take_cpus_of_process() {
  if (const auto all = cpus_of(::getpid())) ::sched_setaffinity(0, sizeof *all, &*all);
}

}  // namespace stasis::base
