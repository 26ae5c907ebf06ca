#include "cimapi/jobs.h"

#include <sched.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <new>
#include <thread>

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using snapshot::WorkObserver;

constexpr std::uint16_t kTerminate = 4;
constexpr std::uint16_t kKill = 5;

struct JobsFixture {
  std::atomic<std::uint64_t> now_us{1'000'000'000};
  std::atomic<bool> may_end{false};
  JobTable jobs{[this] { return now_us.load(); }};

  /// Runs until it may end or is cancelled.
  std::string start_patient(const char* title = "patient") {
    const auto id = jobs.start({JobType::kSnapshot, title},
                               [this](WorkObserver& observer) -> Result<std::string> {
                                 observer.progressed(10, 100);
                                 while (!may_end) {
                                   if (observer.is_cancelled()) {
                                     return fail(ErrorKind::kCancelled, "cancelled");
                                   }
                                   std::this_thread::yield();
                                 }
                                 return std::string("S1");
                               });
    REQUIRE(id);
    return *id;
  }
  JobInfo finished(const std::string& id) {
    while (jobs.is_working()) std::this_thread::yield();
    return *jobs.find(id);
  }
  std::string finished_job(const Result<std::string>& result) {
    const auto id = jobs.start({JobType::kVerify, "quick"}, [&](WorkObserver&) { return result; });
    REQUIRE(id);
    finished(*id);
    return *id;
  }
};

}  // namespace

TEST_CASE("jobs: one is scheduled as its maker is") {
  JobsFixture at;
  cpu_set_t cpus;
  int policy = -1;
  const auto id =
      at.jobs.start({JobType::kVerify, "look"}, [&](WorkObserver&) -> Result<std::string> {
        ::sched_getaffinity(0, sizeof cpus, &cpus);
        policy = ::sched_getscheduler(0);
        return std::string();
      });
  REQUIRE(id);
  at.finished(*id);
  cpu_set_t all;
  REQUIRE(::sched_getaffinity(0, sizeof all, &all) == 0);
  CHECK(CPU_EQUAL(&cpus, &all));
  CHECK(policy == SCHED_OTHER);
}

TEST_CASE("jobs: one that does well ends completed at 100 percent") {
  JobsFixture at;
  const std::string id = at.start_patient();
  CHECK(at.jobs.find(id)->state == JobState::kRunning);
  at.may_end = true;
  const JobInfo job = at.finished(id);
  CHECK(job.state == JobState::kCompleted);
  CHECK(job.percent == 100);
  CHECK(job.snapshot_id == "S1");
  CHECK_FALSE(job.error);
  CHECK_FALSE(job.cancellable);
}

TEST_CASE("jobs: percent comes of bytes and never runs backwards") {
  JobsFixture at;
  std::vector<unsigned> seen;
  const auto look = [&] { seen.push_back(at.jobs.running()->percent); };
  const auto id =
      at.jobs.start({JobType::kSnapshot, "x"}, [&](WorkObserver& observer) -> Result<std::string> {
        while (!at.jobs.running()) std::this_thread::yield();
        observer.progressed(0, 0);
        look();
        observer.progressed(50, 100);
        look();
        observer.progressed(40, 100);
        look();
        observer.progressed(60, 1000);
        look();
        observer.progressed(1000, 1000);
        look();
        return std::string();
      });
  REQUIRE(id);
  CHECK(at.finished(*id).percent == 100);
  CHECK(seen == std::vector<unsigned>{0, 50, 50, 50, 99});
}

TEST_CASE("jobs: one that fails keeps its error and ends as exception") {
  JobsFixture at;
  const std::string id = at.finished_job(fail(ErrorKind::kIo, "disk full"));
  const JobInfo job = *at.jobs.find(id);
  CHECK(job.state == JobState::kException);
  CHECK(job.error->message() == "disk full");
  CHECK(job.percent < 100);
}

TEST_CASE("jobs: work that throws is a failure, no end of the process") {
  JobsFixture at;
  const auto id = at.jobs.start({JobType::kVerify, "x"}, [](WorkObserver&) -> Result<std::string> {
    throw std::bad_alloc();
  });
  REQUIRE(id);
  const JobInfo job = at.finished(*id);
  CHECK(job.state == JobState::kException);
  CHECK(job.error->kind() == ErrorKind::kInternal);
}

TEST_CASE("jobs: terminate and kill end differently") {
  const auto row =
      GENERATE(std::pair{kTerminate, JobState::kTerminated}, std::pair{kKill, JobState::kKilled});
  JobsFixture at;
  const std::string id = at.start_patient();
  CHECK(at.jobs.request_state_change(id, row.first, "") == StateChangeCode::kStarted);
  CHECK(at.finished(id).state == row.second);
  CHECK(at.jobs.request_state_change(id, row.first, "") == StateChangeCode::kInvalidTransition);
}

TEST_CASE("jobs: a second terminate finds the first") {
  JobsFixture at;
  std::atomic<bool> may_end = false;
  const auto id =
      at.jobs.start({JobType::kSnapshot, "deaf"}, [&](WorkObserver&) -> Result<std::string> {
        while (!may_end) std::this_thread::yield();
        return fail(ErrorKind::kCancelled, "cancelled");
      });
  REQUIRE(id);
  CHECK(at.jobs.request_state_change(*id, kTerminate, "") == StateChangeCode::kStarted);
  CHECK(at.jobs.find(*id)->state == JobState::kShuttingDown);
  CHECK(at.jobs.request_state_change(*id, kTerminate, "") == StateChangeCode::kBusy);
  CHECK(at.jobs.request_state_change(*id, kKill, "") == StateChangeCode::kStarted);
  CHECK(at.jobs.request_state_change(*id, kKill, "") == StateChangeCode::kBusy);
  may_end = true;
  CHECK(at.finished(*id).state == JobState::kKilled);
}

TEST_CASE("jobs: one that commits cannot be stopped any more") {
  JobsFixture at;
  std::atomic<bool> commits = false;
  std::atomic<bool> may_end = false;
  const auto id = at.jobs.start({JobType::kSnapshot, "late"},
                                [&](WorkObserver& observer) -> Result<std::string> {
                                  observer.committing();
                                  commits = true;
                                  while (!may_end) std::this_thread::yield();
                                  return std::string();
                                });
  REQUIRE(id);
  while (!commits) std::this_thread::yield();
  CHECK_FALSE(at.jobs.find(*id)->cancellable);
  CHECK(at.jobs.request_state_change(*id, kTerminate, "") == StateChangeCode::kInvalidTransition);
  may_end = true;
  CHECK(at.finished(*id).state == JobState::kCompleted);
}

TEST_CASE("jobs: documented codes of RequestStateChange by parameters") {
  JobsFixture at;
  const std::string id = at.start_patient();
  const auto code = [&](std::uint16_t requested, const char* timeout) {
    return static_cast<std::uint32_t>(at.jobs.request_state_change(id, requested, timeout));
  };
  using Requests = std::vector<std::uint16_t>;
  for (const auto wrong : Requests{0, 1, 7, 32'768}) CHECK(code(wrong, "") == 5);
  for (const auto unsupported : Requests{2, 3, 6}) CHECK(code(unsupported, "") == 1);
  CHECK(code(kTerminate, "00000000000001.000000:000") == 4098);
  CHECK(code(kTerminate, "20240101000000.000000+000") == 5);
  CHECK(at.jobs.find(id)->state == JobState::kRunning);
  CHECK(code(kTerminate, "00000000000000.000000:000") == 4096);
}

TEST_CASE("jobs: finished ones stay five minutes") {
  JobsFixture at;
  const std::string id = at.finished_job(std::string());
  at.now_us += JobTable::kTimeBeforeRemovalUs - 1;
  CHECK(at.jobs.find(id));
  at.now_us += 1;
  CHECK_FALSE(at.jobs.find(id));
  CHECK(at.jobs.list().empty());
}

TEST_CASE("jobs: running ones stay as long as they run") {
  JobsFixture at;
  const std::string id = at.start_patient();
  at.now_us += 10 * JobTable::kTimeBeforeRemovalUs;
  CHECK(at.jobs.find(id));
  CHECK(at.jobs.find(id)->elapsed_us == 10 * JobTable::kTimeBeforeRemovalUs);
}

TEST_CASE("jobs: the table does not grow without bound") {
  JobsFixture at;
  const std::string first = at.finished_job(std::string());
  for (std::size_t i = 0; i < JobTable::kMaxFinished; ++i) at.finished_job(std::string());
  CHECK(at.jobs.list().size() == JobTable::kMaxFinished);
  CHECK_FALSE(at.jobs.find(first));
}

TEST_CASE("jobs: work at once keeps others out, too, and is named") {
  JobsFixture at;
  const auto result = at.jobs.run({JobType::kDelete, "delete \"a\""}, [&](WorkObserver&) {
    const auto second = at.jobs.start({JobType::kVerify, "x"}, {});
    REQUIRE_FALSE(second);
    CHECK(second.error().kind() == ErrorKind::kBusy);
    CHECK(second.error().message().find("delete \"a\"") != std::string::npos);
    return Result<std::string>("done");
  });
  CHECK(result == "done");
  CHECK_FALSE(at.jobs.is_working());
}

TEST_CASE("jobs: only finished ones can be removed") {
  JobsFixture at;
  const std::string id = at.start_patient();
  CHECK(at.jobs.remove(id).error().kind() == ErrorKind::kInvalidState);
  at.may_end = true;
  at.finished(id);
  CHECK(at.jobs.remove(id));
  CHECK(at.jobs.remove(id).error().kind() == ErrorKind::kNotFound);
}

TEST_CASE("jobs: the end of the table cancels what runs") {
  std::atomic<bool> was_cancelled = false;
  {
    JobTable jobs;
    REQUIRE(jobs.start({JobType::kSnapshot, "x"}, [&](WorkObserver& observer) {
      while (!observer.is_cancelled()) std::this_thread::yield();
      was_cancelled = true;
      return Result<std::string>(fail(ErrorKind::kCancelled, "cancelled"));
    }));
  }
  CHECK(was_cancelled);
}

}  // namespace stasis::cimapi
