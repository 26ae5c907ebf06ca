#include "cimapi/jobs.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <system_error>
#include <utility>

#include "base/thread_placement.h"
#include "cimapi/no_observer.h"
#include "cimapi/value.h"
#include "snapshot/uuid.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using base::fail;

constexpr std::uint16_t kStart = 2;
constexpr std::uint16_t kSuspend = 3;
constexpr std::uint16_t kTerminate = 4;
constexpr std::uint16_t kKill = 5;
constexpr std::uint16_t kService = 6;

std::optional<StateChangeCode> wrong_timeout(std::string_view timeout) {
  if (timeout.empty()) return std::nullopt;
  const auto interval = interval_us(timeout);
  if (!interval) return StateChangeCode::kInvalidParameter;
  if (*interval != 0) return StateChangeCode::kTimeoutNotSupported;
  return std::nullopt;
}

std::optional<StateChangeCode> wrong_request(std::uint16_t requested) {
  switch (requested) {
    case kTerminate:
    case kKill:
      return std::nullopt;
    case kStart:
    case kSuspend:
    case kService:
      return StateChangeCode::kNotSupported;
    default:
      return StateChangeCode::kInvalidParameter;
  }
}

/// What a library throws, such as memory that ran out, must not end the machine.
base::Result<std::string> guarded(const JobTable::Work& work, snapshot::WorkObserver& observer) {
  try {
    return work(observer);
  } catch (const std::exception& thrown) {
    return fail(ErrorKind::kInternal, thrown.what());
  }
}

JobInfo with_elapsed(JobInfo info, std::uint64_t now_us) {
  const std::uint64_t end = info.ended_us == 0 ? now_us : info.ended_us;
  info.elapsed_us = end > info.submitted_us ? end - info.submitted_us : 0;
  return info;
}

}  // namespace

bool is_finished(JobState state) {
  return state != JobState::kNew && state != JobState::kRunning && state != JobState::kShuttingDown;
}

struct JobTable::Job {
  JobInfo info;  // guarded by the table's mutex
  std::atomic<bool> is_cancelled{false};
  bool is_killed = false;  // guarded by the table's mutex
  std::thread thread;      // joined by the table
};

class JobTable::Observer final : public snapshot::WorkObserver {
 public:
  Observer(std::mutex& mutex, Job& job) : mutex_(mutex), job_(job) {}

  void progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) override {
    const std::lock_guard lock(mutex_);
    JobInfo& info = job_.info;
    info.bytes_done = std::max(info.bytes_done, done_bytes);
    info.bytes_total = std::max(total_bytes, info.bytes_done);
    if (info.bytes_total == 0) return;
    const double share =
        static_cast<double>(info.bytes_done) / static_cast<double>(info.bytes_total);
    // 100 is said only of what is done, commit and all
    info.percent = std::max(info.percent, std::min(99U, static_cast<unsigned>(share * 100.0)));
  }
  bool is_cancelled() const override { return job_.is_cancelled; }
  void committing() override {
    const std::lock_guard lock(mutex_);
    job_.info.cancellable = false;
  }

 private:
  std::mutex& mutex_;
  Job& job_;
};

JobTable::JobTable(Clock clock) : clock_(std::move(clock)) {}
JobTable::JobTable() : JobTable(snapshot::unix_us_now) {}

JobTable::~JobTable() {
  std::vector<std::shared_ptr<Job>> jobs;
  {
    const std::lock_guard lock(mutex_);
    jobs = jobs_;
    if (working_job_) jobs.push_back(working_job_);
  }
  for (const auto& job : jobs) job->is_cancelled = true;
  for (const auto& job : jobs) {
    if (job->thread.joinable()) job->thread.join();
  }
}

base::Status JobTable::take_lock(const std::string& title, const std::shared_ptr<Job>& job) {
  if (!working_on_.empty()) {
    return fail(ErrorKind::kBusy,
                working_job_
                    ? fmt::format("busy: job {} ({}) is at {} %; wait for it or cancel it",
                                  working_job_->info.id, working_on_, working_job_->info.percent)
                    : fmt::format("busy: {} is under way; wait for it", working_on_));
  }
  working_on_ = title;
  working_job_ = job;
  return {};
}

base::Result<std::string> JobTable::start(Order order, Work work) {
  const auto job = std::make_shared<Job>();
  job->info.id = TRY(snapshot::make_uuid());
  job->info.title = std::move(order.title);
  job->info.type = order.type;
  job->info.creates_snapshot = order.type == JobType::kSnapshot;
  job->info.snapshot_id = std::move(order.snapshot_id);
  job->info.submitted_us = job->info.changed_us = clock_();
  const std::lock_guard lock(mutex_);
  expire();
  TRY(take_lock(job->info.title, job));
  job->info.state = JobState::kRunning;
  try {
    const base::Stay stay;  // not to begin on a vCPU's CPU
    job->thread = std::thread([this, job, work = std::move(work), before = stay.before()] {
      before.take();
      perform(job, work);
    });
  } catch (const std::system_error& error) {
    working_on_.clear();
    working_job_.reset();
    return fail(ErrorKind::kOutOfResources, fmt::format("job: no thread: {}", error.what()));
  }
  jobs_.push_back(job);
  return job->info.id;
}

void JobTable::perform(const std::shared_ptr<Job>& job, const Work& work) {
  Observer observer(mutex_, *job);
  auto result = guarded(work, observer);
  const std::lock_guard lock(mutex_);
  finish(*job, std::move(result));
  working_on_.clear();
  working_job_.reset();
}

void JobTable::finish(Job& job, base::Result<std::string> result) {
  JobInfo& info = job.info;
  info.cancellable = false;
  info.ended_us = clock_();
  if (result) {
    if (!result->empty()) info.snapshot_id = *result;
    info.percent = 100;
    set_state(job, JobState::kCompleted);
    return;
  }
  info.error = result.error();
  const bool was_cancelled = result.error().kind() == ErrorKind::kCancelled;
  set_state(job, !was_cancelled  ? JobState::kException
                 : job.is_killed ? JobState::kKilled
                                 : JobState::kTerminated);
}

void JobTable::set_state(Job& job, JobState state) const {
  job.info.state = state;
  job.info.changed_us = clock_();
}

base::Result<std::string> JobTable::run(const Order& order, const Work& work) {
  {
    const std::lock_guard lock(mutex_);
    TRY(take_lock(order.title, nullptr));
  }
  NoObserver observer;
  auto result = guarded(work, observer);
  const std::lock_guard lock(mutex_);
  working_on_.clear();
  return result;
}

/// Finished jobs whose time is over go; so do the oldest beyond the limit.
void JobTable::expire() const {
  const std::uint64_t now = clock_();
  const auto finished = [](const std::shared_ptr<Job>& job) {
    return is_finished(job->info.state);
  };
  auto surplus = std::count_if(jobs_.begin(), jobs_.end(), finished) -
                 static_cast<std::ptrdiff_t>(kMaxFinished);
  const auto is_over = [&](const std::shared_ptr<Job>& job) {
    if (!finished(job)) return false;
    if (surplus-- <= 0 && now < job->info.ended_us + kTimeBeforeRemovalUs) return false;
    if (job->thread.joinable()) job->thread.join();  // has nothing left to do
    return true;
  };
  jobs_.erase(std::remove_if(jobs_.begin(), jobs_.end(), is_over), jobs_.end());
}

std::vector<JobInfo> JobTable::list() const {
  const std::lock_guard lock(mutex_);
  expire();
  std::vector<JobInfo> infos;
  for (const auto& job : jobs_) infos.push_back(with_elapsed(job->info, clock_()));
  return infos;
}

std::shared_ptr<JobTable::Job> JobTable::find_job(std::string_view id) const {
  expire();
  const auto found = std::find_if(jobs_.begin(), jobs_.end(),
                                  [&](const auto& job) { return same_name(job->info.id, id); });
  return found == jobs_.end() ? nullptr : *found;
}

std::optional<JobInfo> JobTable::find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto job = find_job(id);
  if (!job) return std::nullopt;
  return with_elapsed(job->info, clock_());
}

std::optional<JobInfo> JobTable::running() const {
  const std::lock_guard lock(mutex_);
  if (!working_job_) return std::nullopt;
  return working_job_->info;
}

bool JobTable::is_working() const {
  const std::lock_guard lock(mutex_);
  return !working_on_.empty();
}

StateChangeCode JobTable::request_state_change(std::string_view id, std::uint16_t requested,
                                               std::string_view timeout) {
  if (const auto code = wrong_request(requested)) return *code;
  if (const auto code = wrong_timeout(timeout)) return *code;
  const std::lock_guard lock(mutex_);
  const auto job = find_job(id);
  if (!job) return StateChangeCode::kInvalidParameter;
  if (is_finished(job->info.state) || !job->info.cancellable) {
    return StateChangeCode::kInvalidTransition;
  }
  const bool is_kill = requested == kKill;
  if (job->info.state == JobState::kShuttingDown && (job->is_killed || !is_kill)) {
    return StateChangeCode::kBusy;
  }
  job->is_killed = is_kill;
  job->is_cancelled = true;
  set_state(*job, JobState::kShuttingDown);
  return StateChangeCode::kStarted;
}

base::Status JobTable::remove(std::string_view id) {
  const std::lock_guard lock(mutex_);
  const auto job = find_job(id);
  if (!job) return fail(ErrorKind::kNotFound, fmt::format("job {}: not found", id));
  if (!is_finished(job->info.state)) {
    return fail(ErrorKind::kInvalidState, fmt::format("job {}: still runs; terminate it", id));
  }
  if (job->thread.joinable()) job->thread.join();
  jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), job), jobs_.end());
  return {};
}

}  // namespace stasis::cimapi
