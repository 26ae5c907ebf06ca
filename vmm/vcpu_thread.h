#pragma once

#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

#include "base/result.h"
#include "base/thread_placement.h"
#include "devices/io_bus.h"
#include "vmm/kvm/kvm_vcpu.h"

namespace stasis::vmm {

/// How a vCPU came to its end by itself.
struct VcpuEnd {
  enum class Kind {
    kTripleFault,    ///< KVM_EXIT_SHUTDOWN
    kInternalError,  ///< KVM cannot go on; `detail` says where and what helps
  };
  Kind kind = Kind::kInternalError;
  std::string detail;
};

/// Told by a vCPU's thread that its guest cannot go on. The thread parks afterwards.
class VcpuObserver {
 public:
  virtual ~VcpuObserver() = default;
  virtual void vcpu_ended(unsigned index, VcpuEnd end) = 0;
};

/// A thread that runs one vCPU and hands its port and memory accesses to the buses.
///
/// States: parked (from the start), running, ended. A pause asks for an exit and signals the
/// thread; the thread looks at requests only after KVM_RUN returned EINTR, because KVM finishes a
/// pending access on the way in and returns EINTR only then (T1, T2; KVM api.rst, "struct
/// kvm_run"). So a parked vCPU never has half an access in its registers.
/// Threads: any one controlling thread at a time.
class VcpuThread {
 public:
  using Deadline = std::chrono::steady_clock::time_point;

  struct Wiring {
    const devices::IoBus& ports;
    const devices::IoBus& memory;
    VcpuObserver& observer;
  };

  /// The vCPU and all of `wiring` must outlive the thread, which starts parked.
  VcpuThread(unsigned index, const KvmVcpu& vcpu, Wiring wiring);
  VcpuThread(const VcpuThread&) = delete;
  VcpuThread& operator=(const VcpuThread&) = delete;

  /// Stops and joins.
  ~VcpuThread();

  /// Lets a parked vCPU run.
  void resume();

  /// Leaves the caller's CPU, if it is there: base::work_elsewhere.
  void work_beside_caller();

  /// Tells where it is; waits until the thread has begun.
  base::ThreadWatch watch();

  /// Asks for a pause; returns at once, so that many vCPUs can be asked before any is awaited.
  void request_pause();

  /// Waits until the vCPU is parked or ended. kTimeout names the vCPU.
  base::Status await_pause(Deadline deadline);

  /// Asks for the end of the thread; returns at once.
  void request_stop();

 private:
  enum class Wish { kPark, kRun, kStop };
  enum class Phase { kParked, kRunning };

  void main();
  bool obey_wish();
  void run_until_asked();
  bool handle_exit();
  void handle_port_io();
  void handle_memory_io();
  void end(VcpuEnd end);
  void ask(Wish wish);

  const unsigned index_;
  const KvmVcpu& vcpu_;
  const Wiring wiring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Wish wish_ = Wish::kPark;       // guarded by mutex_
  Phase phase_ = Phase::kParked;  // guarded by mutex_
  bool ended_ = false;            // the vCPU's own thread only
  std::atomic<pid_t> id_{0};      // 0 before it has begun
  std::thread thread_;            // last: started when the rest is there
};

}  // namespace stasis::vmm
