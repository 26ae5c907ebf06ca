#include "base/thread_placement.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
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

/// Calls `act` while `id` may use `some` of its CPUs only, `all` of which it may use afterwards.
void act_bound(pid_t id, const cpu_set_t& some, const cpu_set_t& all,
               const std::function<void()>& act) {
  ::sched_setaffinity(id, sizeof some, &some);
  act();
  ::sched_setaffinity(id, sizeof all, &all);
}

cpu_set_t without_cpus_of(std::span<const ThreadWatch> others, cpu_set_t cpus) {
  for (const ThreadWatch& other : others) {
    if (const auto its = other.cpu()) CPU_CLR(static_cast<unsigned>(*its), &cpus);
  }
  return cpus;
}

}  // namespace

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

void wake_here(pid_t id, const std::function<void()>& wake) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(id);
  if (here < 0 || !all || !CPU_ISSET(static_cast<unsigned>(here), &*all)) return wake();
  cpu_set_t only_here;
  CPU_ZERO(&only_here);
  CPU_SET(static_cast<unsigned>(here), &only_here);
  act_bound(id, only_here, *all, wake);
}

ThreadWatch::ThreadWatch(pid_t thread)
    : stat_(::open(fmt::format("/proc/self/task/{}/stat", thread).c_str(), O_RDONLY | O_CLOEXEC)) {}

/// From the 39th field of its `stat`; the second may have spaces and ends with the last
/// parenthesis.
std::optional<int> ThreadWatch::cpu() const {
  constexpr int kFieldsBefore = 36;  // behind the parenthesis
  std::array<char, 1024> bytes;
  const ssize_t size = ::pread(stat_.get(), bytes.data(), bytes.size(), 0);
  if (size <= 0) return std::nullopt;
  std::string_view text(bytes.data(), static_cast<std::size_t>(size));
  text.remove_prefix(std::min(text.size(), text.rfind(')') + 2));
  for (int i = 0; i < kFieldsBefore; ++i) {
    const auto end = text.find(' ');
    if (end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(end + 1);
  }
  int cpu = -1;
  std::from_chars(text.data(), text.data() + text.size(), cpu);
  if (cpu < 0) return std::nullopt;
  return cpu;
}

void leave_cpus_of(std::span<const ThreadWatch> others) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(0);
  if (here < 0 || !all) return;
  const cpu_set_t free = without_cpus_of(others, *all);
  const bool is_shared = !CPU_ISSET(static_cast<unsigned>(here), &free);
  if (is_shared && CPU_COUNT(&free) != 0) act_bound(0, free, *all, [] {});
}

void Separation::look() {
  const auto now = cpus_of(0);
  if (!now) return;
  if (!CPU_EQUAL(&*now, &bound_)) all_ = *now;
  cpu_set_t wanted = without_cpus_of(*others_, all_);
  if (CPU_COUNT(&wanted) == 0) wanted = all_;
  if (CPU_EQUAL(&wanted, &*now)) return;
  if (::sched_setaffinity(0, sizeof wanted, &wanted) == 0) bound_ = wanted;
}

void take_cpus_of_process() {
  if (const auto all = cpus_of(::getpid())) ::sched_setaffinity(0, sizeof *all, &*all);
}

}  // namespace stasis::base
