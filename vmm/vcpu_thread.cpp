#include "vmm/vcpu_thread.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/short_turns.h"
#include "base/thread_placement.h"
#include "vmm/vcpu_exit_text.h"

namespace stasis::vmm {
namespace {

/// The signal that takes a vCPU out of the guest. Its handler does nothing: arriving is all.
int kick_signal() {
  return SIGRTMIN;
}

void install_kick_handler() {
  static const bool kInstalled = [] {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    sigemptyset(&action.sa_mask);
    return ::sigaction(kick_signal(), &action, nullptr) == 0;
  }();
  static_cast<void>(kInstalled);
}

/// Every other signal is for the process's main thread.
void accept_only_kicks() {
  sigset_t blocked;
  sigfillset(&blocked);
  sigdelset(&blocked, kick_signal());
  pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
}

}  // namespace

VcpuThread::VcpuThread(unsigned index, const KvmVcpu& vcpu, Wiring wiring)
    : index_(index), vcpu_(vcpu), wiring_(wiring) {
  install_kick_handler();
  thread_ = std::thread([this] { main(); });
}

VcpuThread::~VcpuThread() {
  request_stop();
  thread_.join();
}

void VcpuThread::ask(Wish wish) {
  {
    const std::lock_guard lock(mutex_);
    if (wish_ == Wish::kStop) return;
    wish_ = wish;
    // After the wish, so that a thread that has just cleared the request sees the wish; and while
    // the lock is held, so that a following resume cannot be undone by a late request.
    if (wish != Wish::kRun) vcpu_.ask_to_exit();
  }
  if (wish == Wish::kRun) {
    changed_.notify_all();
  } else {
    changed_.notify_all();
    pthread_kill(thread_.native_handle(), kick_signal());
  }
}

void VcpuThread::resume() {
  ask(Wish::kRun);
}

void VcpuThread::work_beside_caller() {
  base::work_elsewhere(thread_);
}

base::ThreadWatch VcpuThread::watch() {
  id_.wait(0);
  clockid_t clock{};
  const bool has_clock = ::pthread_getcpuclockid(thread_.native_handle(), &clock) == 0;
  return base::ThreadWatch(id_, has_clock ? std::optional(clock) : std::nullopt);
}

void VcpuThread::request_pause() {
  ask(Wish::kPark);
}

void VcpuThread::request_stop() {
  ask(Wish::kStop);
}

base::Status VcpuThread::await_pause(Deadline deadline) {
  std::unique_lock lock(mutex_);
  if (changed_.wait_until(lock, deadline, [this] { return phase_ == Phase::kParked; })) return {};
  return base::fail(base::ErrorKind::kTimeout,
                    fmt::format("vCPU {} did not stop in time; is the host overloaded or its "
                                "storage stuck?",
                                index_));
}

void VcpuThread::main() {
  accept_only_kicks();
  base::take_short_turns();  // else whoever is woken on its CPU may run for a tick before it
  id_ = ::gettid();
  id_.notify_all();
  pthread_setname_np(pthread_self(), fmt::format("vcpu{}", index_).c_str());
  while (obey_wish()) run_until_asked();
}

/// Parks while told to; false when the thread shall end.
bool VcpuThread::obey_wish() {
  std::unique_lock lock(mutex_);
  if (wish_ != Wish::kRun || ended_) {
    phase_ = Phase::kParked;
    changed_.notify_all();
    changed_.wait(lock,
                  [this] { return wish_ == Wish::kStop || (wish_ == Wish::kRun && !ended_); });
  }
  if (wish_ == Wish::kStop) return false;
  phase_ = Phase::kRunning;
  vcpu_.clear_exit_request();
  return true;
}

void VcpuThread::run_until_asked() {
  while (true) {
    const int error_number = vcpu_.run();
    if (error_number == EINTR) return;
    if (error_number == EAGAIN) continue;  // a vCPU that waits for its start-up signal
    if (error_number != 0) {
      return end({VcpuEnd::Kind::kInternalError, describe_failed_run(vcpu_, error_number)});
    }
    if (!handle_exit()) return;
  }
}

/// False when the vCPU cannot go on.
bool VcpuThread::handle_exit() {
  switch (vcpu_.exit().exit_reason) {
    case KVM_EXIT_IO:
      handle_port_io();
      return true;
    case KVM_EXIT_MMIO:
      handle_memory_io();
      return true;
    case KVM_EXIT_INTR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return true;
    case KVM_EXIT_SHUTDOWN:
      end({VcpuEnd::Kind::kTripleFault, fmt::format("vCPU {} triple-faulted", index_)});
      return false;
    default:
      end({VcpuEnd::Kind::kInternalError,
           fmt::format("vCPU {}: {}", index_, describe_failed_exit(vcpu_))});
      return false;
  }
}

/// One exit can carry several accesses (a string instruction), one after the other in the data
/// area.
void VcpuThread::handle_port_io() {
  kvm_run& exit = vcpu_.exit();
  const unsigned width = exit.io.size;
  auto* data = reinterpret_cast<std::byte*>(&exit) + exit.io.data_offset;
  for (std::uint32_t i = 0; i < exit.io.count; ++i, data += width) {
    std::uint64_t value = 0;
    if (exit.io.direction == KVM_EXIT_IO_OUT) {
      std::memcpy(&value, data, width);
      wiring_.ports.write(exit.io.port, width, value);
    } else {
      value = wiring_.ports.read(exit.io.port, width);
      std::memcpy(data, &value, width);
    }
  }
}

void VcpuThread::handle_memory_io() {
  auto& access = vcpu_.exit().mmio;
  std::uint64_t value = 0;
  if (access.is_write != 0) {
    std::memcpy(&value, access.data, access.len);
    wiring_.memory.write(access.phys_addr, access.len, value);
  } else {
    value = wiring_.memory.read(access.phys_addr, access.len);
    std::memcpy(access.data, &value, access.len);
  }
}

void VcpuThread::end(VcpuEnd end) {
  ended_ = true;
  wiring_.observer.vcpu_ended(index_, std::move(end));
}

}  // namespace stasis::vmm
