#include "base/thread_placement.h"

#include <pthread.h>
#include <sched.h>

#include <optional>

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

}  // namespace

void work_elsewhere(std::thread& thread) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(thread);  // its own: somebody may have bound it
  if (here < 0 || !all) return;
  cpu_set_t others = *all;
  CPU_CLR(static_cast<unsigned>(here), &others);
  if (CPU_COUNT(&others) == 0) return;
  // It cannot run here at this moment, so it has moved when the first call returns.
  ::pthread_setaffinity_np(thread.native_handle(), sizeof others, &others);
  ::pthread_setaffinity_np(thread.native_handle(), sizeof *all, &*all);
}

void wake_here(pid_t id, const std::function<void()>& wake) {
  const int here = ::sched_getcpu();
  const auto all = cpus_of(id);
  if (here < 0 || !all || !CPU_ISSET(static_cast<unsigned>(here), &*all)) return wake();
  cpu_set_t only_here;
  CPU_ZERO(&only_here);
  CPU_SET(static_cast<unsigned>(here), &only_here);
  ::sched_setaffinity(id, sizeof only_here, &only_here);
  wake();
  ::sched_setaffinity(id, sizeof *all, &*all);
}

}  // namespace stasis::base
