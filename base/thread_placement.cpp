#include "base/thread_placement.h"

#include <pthread.h>
#include <sched.h>

#include <optional>

namespace stasis::base {

namespace {

/// The CPUs that a process or thread may use (0: the caller), if it can be told. Not where there
/// are more than the set has bits: such a kernel knows its caches.
std::optional<cpu_set_t> cpus_of(pid_t id) {
  cpu_set_t cpus;
  if (::sched_getaffinity(id, sizeof cpus, &cpus) != 0) return std::nullopt;
  return cpus;
}

std::optional<cpu_set_t> this_cpu() {
  const int number = ::sched_getcpu();
  if (number < 0) return std::nullopt;
  cpu_set_t cpu;
  CPU_ZERO(&cpu);
  CPU_SET(static_cast<unsigned>(number), &cpu);
  return cpu;
}

}  // namespace

void work_elsewhere(std::thread& thread) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(0);
  if (here < 0 || !all) return;
  cpu_set_t others = *all;
  CPU_CLR(static_cast<unsigned>(here), &others);
  if (CPU_COUNT(&others) == 0) return;
  // It cannot run here at this moment, so it has moved when the first call returns.
  ::pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);
  ::pthread_setaffinity_np(thread.native_handle(), sizeof *all, &*all);
}

void wake_here(pid_t id, const std::function<void()>& wake) {
  const auto all = cpus_of(id);
  const auto here = this_cpu();
  if (!all || !here) return wake();
  ::sched_setaffinity(id, sizeof *here, &*here);
  wake();
  ::sched_setaffinity(id, sizeof *all, &*all);
}

}  // namespace stasis::base
