#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/result.h"
#include "cimapi/codes.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// CIM_ConcreteJob.JobState.
enum class JobState : std::uint16_t {
  kNew = 2,
  kRunning = 4,
  kShuttingDown = 6,  ///< asked to end
  kCompleted = 7,
  kTerminated = 8,
  kKilled = 9,
  kException = 10,
};
bool is_finished(JobState state);

/// What a job does. The numbers are Msvm_ConcreteJob.JobType; the last ones are ours.
enum class JobType : std::uint16_t {
  kSnapshot = 70,
  kApply = 71,
  kDelete = 72,
  kVerify = 32'768,
  kReboot = 32'769,
  kSelfTest = 32'770,
};

/// One job, as its instance shows it.
struct JobInfo {
  std::string id;     ///< UUID; never used again
  std::string title;  ///< what people read: `create snapshot "monday"`
  JobType type = JobType::kSnapshot;
  JobState state = JobState::kNew;
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0;
  unsigned percent = 0;  ///< never runs backwards; 100 when completed
  bool cancellable = true;
  bool creates_snapshot = false;
  std::string snapshot_id;           ///< made or worked on; empty: none (yet)
  std::optional<base::Error> error;  ///< set when the job ended otherwise than well
  std::uint64_t submitted_us = 0;
  std::uint64_t changed_us = 0;  ///< last change of state
  std::uint64_t ended_us = 0;    ///< 0: not finished
  std::uint64_t elapsed_us = 0;  ///< until its end or now
};

/// The work of one virtual machine: one piece at a time, either at once or as a job on a thread of
/// its own. Finished jobs can be read for kTimeBeforeRemoval.
/// Threads: any, all at once.
class JobTable {
 public:
  static constexpr std::uint64_t kTimeBeforeRemovalUs = 300'000'000;
  static constexpr std::size_t kMaxFinished = 256;  ///< beyond, the oldest go earlier

  /// What a piece of work is.
  struct Order {
    JobType type;
    std::string title;
    std::string snapshot_id{};  ///< worked on
  };
  /// Gives the id of the snapshot that it made, or an empty text.
  using Work = std::function<base::Result<std::string>(snapshot::WorkObserver&)>;
  using Clock = std::function<std::uint64_t()>;  ///< microseconds since 1970

  explicit JobTable(Clock clock);
  JobTable();
  /// Cancels what runs and waits for it.
  ~JobTable();
  JobTable(const JobTable&) = delete;
  JobTable& operator=(const JobTable&) = delete;

  /// Starts a job and gives its id. kBusy names the work that is under way.
  base::Result<std::string> start(Order order, Work work);
  /// Does the work before it returns. kBusy as above.
  base::Result<std::string> run(const Order& order, const Work& work);

  std::vector<JobInfo> list() const;
  std::optional<JobInfo> find(std::string_view id) const;
  std::optional<JobInfo> running() const;
  bool is_working() const;

  /// CIM_ConcreteJob.RequestStateChange: 4 Terminate, 5 Kill. `timeout`: a datetime or empty.
  StateChangeCode request_state_change(std::string_view id, std::uint16_t requested,
                                       std::string_view timeout);

  /// Forgets a finished job. kNotFound, kInvalidState when it runs.
  base::Status remove(std::string_view id);

 private:
  struct Job;
  class Observer;

  base::Status take_lock(const std::string& title, const std::shared_ptr<Job>& job);
  void perform(const std::shared_ptr<Job>& job, const Work& work);
  void finish(Job& job, base::Result<std::string> result);
  void expire() const;
  std::shared_ptr<Job> find_job(std::string_view id) const;
  void set_state(Job& job, JobState state) const;

  Clock clock_;
  mutable std::mutex mutex_;
  mutable std::vector<std::shared_ptr<Job>> jobs_;  // guarded by mutex_, oldest first
  std::string working_on_;                          // guarded by mutex_; empty: idle
  std::shared_ptr<Job> working_job_;                // guarded by mutex_
};

}  // namespace stasis::cimapi
