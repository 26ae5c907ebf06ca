#include "snapshot/fork_capture.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <new>

#include "base/thread_placement.h"
#include "snapshot/memory_at_hand.h"
#include "snapshot/quiet_fork.h"
#include "snapshot/ram_scan.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;

constexpr int kNice = 5;  // at least below the guest; not starved by one that never sleeps
constexpr int kPollMs = 100;

/// Lets the child end with its parent. Not PR_SET_PDEATHSIG: that follows the thread that forked,
/// which may end before the work does. And keeps it out of the guest's way: a vCPU on its CPU would
/// stand behind it from one tick to the next now and then, whatever its priority.
class ChildWatch final : public RamWriteWatch {
 public:
  ChildWatch(pid_t parent, std::shared_ptr<const base::ThreadWatches> vcpus)
      : parent_(parent), separation_(std::move(vcpus), base::Separation::From::kAwake) {}

  bool goes_on() override {
    separation_.look();
    return ::getppid() == parent_;
  }

 private:
  pid_t parent_;
  base::Separation separation_;
};

/// When the host runs out of memory, the copy goes and not the guest (proc(5), oom_score_adj).
void volunteer_for_oom_killer() {
  const base::Fd file(::open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
  // A wish: raising one's own score needs no privilege, but /proc may be absent.
  [[maybe_unused]] const auto written = ::write(file.get(), "1000", 4);
}

/// Waits for the byte; false when the other side is gone.
bool hears_go(const base::Fd& socket) {
  char byte = 0;
  ssize_t count = 0;
  do {
    count = ::read(socket.get(), &byte, 1);
  } while (count < 0 && errno == EINTR);
  return count == 1;
}

bool has_shared(const std::vector<base::MemoryRegion>& regions) {
  for (const auto& region : regions) {
    if (kinds_of(region.bytes).has_shared) return true;
  }
  return false;
}

}  // namespace

base::Result<std::unique_ptr<ForkCapture>> ForkCapture::create(
    RamFiles files, std::shared_ptr<const base::ThreadWatches> vcpus) {
  auto memory = TRY(base::Mapping::shared_anonymous(sizeof(RamWriteBoard)));
  new (memory.data()) RamWriteBoard;
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return base::fail(base::errno_error("engine fork: socketpair"));
  }
  return std::unique_ptr<ForkCapture>(new ForkCapture(std::move(files), std::move(vcpus),
                                                      std::move(memory),
                                                      Line{base::Fd(ends[0]), base::Fd(ends[1])}));
}

ForkCapture::ForkCapture(RamFiles files, std::shared_ptr<const base::ThreadWatches> vcpus,
                         base::Mapping board, Line go)
    : files_(std::move(files)),
      memory_(std::move(board)),
      go_(std::move(go)),
      target_(files_.target()) {
  target_.forks_workers = true;
  target_.starts_writeback = true;
  target_.vcpus = std::move(vcpus);
  if (target_.vcpus) {
    for (const auto& vcpu : *target_.vcpus) target_.vcpu_files.push_back(vcpu.file());
  }
  childs_files_ = target_.vcpu_files;
  childs_files_.insert(childs_files_.end(),
                       {target_.data_file, target_.index_file, go_.childs.get()});
}

ForkCapture::~ForkCapture() {
  kill_child();
}

void ForkCapture::before_pause() {
  have_memory_at_hand();
}

base::Status ForkCapture::capture(const std::vector<base::MemoryRegion>& regions,
                                  WorkObserver& /*observer*/) {
  const pid_t parent = ::getpid();
  stay_.emplace();
  int pidfd = -1;
  const pid_t child = quiet_fork(&pidfd);
  if (child == 0) run_child(regions, parent);
  if (child < 0 && (errno == ENOMEM || errno == EAGAIN)) {
    return base::fail(ErrorKind::kOutOfResources,
                      "engine fork: the host has no memory or no process left for the copy; use "
                      "the engine stop-and-copy");
  }
  if (child < 0) return base::fail(base::errno_error("engine fork"));
  child_ = child;
  pidfd_ = base::Fd(pidfd);
  return {};
}

// Only system calls from here on: locks of threads that do not exist in the child may be held.
void ForkCapture::run_child(const std::vector<base::MemoryRegion>& regions, pid_t parent) {
  // Before it waits: a child of another capture must not wait for the end of this one's parent.
  close_all_but(childs_files_);
  if (!hears_go(go_.childs)) ::_exit(1);
  ::close(go_.childs.get());
  stay_.reset();
  ::setpriority(PRIO_PROCESS, 0, std::max(::getpriority(PRIO_PROCESS, 0), kNice));
  volunteer_for_oom_killer();
  if (has_shared(regions)) {
    board().error = EOPNOTSUPP;
    ::_exit(1);
  }
  ChildWatch watch(parent, target_.vcpus);
  const bool is_done =
      RamWriter(regions, target_, watch, board()).write() && sync_ram_files(target_, board());
  ::_exit(is_done ? 0 : 1);
}

void ForkCapture::guest_runs() {
  stay_.reset();
  if (!go_.parents.is_open()) return;
  ::send(go_.parents.get(), "", 1, MSG_NOSIGNAL);
  go_.parents.reset();
}

base::Result<RamCaptureResult> ForkCapture::finish(WorkObserver& observer) {
  guest_runs();
  pollfd ended{pidfd_.get(), POLLIN, 0};
  while (::poll(&ended, 1, kPollMs) <= 0) {
    if (target_.vcpus) base::leave_cpus_of(*target_.vcpus);
    observer.progressed(board().done_bytes, board().total_bytes);
    if (!observer.is_cancelled()) continue;
    kill_child();
    board().error = ECANCELED;
    return base::fail(files_.failure(board()));
  }
  const int status = reap(std::exchange(child_, 0));
  observer.progressed(board().done_bytes, board().total_bytes);
  if (board().error != 0) return base::fail(files_.failure(board()));
  if (board().step != RamWriteStep::kDone) return base::fail(death_of_child(status));
  return files_.result(board());
}

base::Error ForkCapture::death_of_child(int status) const {
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) {
    return {
        ErrorKind::kOutOfResources,
        "engine fork: the process that wrote the guest's memory was killed, perhaps because the "
        "host ran out of memory; free some, or use the engine stop-and-copy"};
  }
  return {ErrorKind::kInternal,
          fmt::format("engine fork: the process that wrote the guest's memory ended with status {}",
                      status)};
}

void ForkCapture::kill_child() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  reap(std::exchange(child_, 0));
}

}  // namespace stasis::snapshot
