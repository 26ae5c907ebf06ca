#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cimapi/checked.h"
#include "cimapi/jobs.h"
#include "cimapi/names.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// How a piece of work went on: done, or as a job.
struct Outcome {
  Verdict verdict = Verdict::kCompleted;  ///< or kStarted
  std::string snapshot_id{};              ///< made; empty: none yet
  std::string job_id{};                   ///< of kStarted
};

/// What the services of both families do, before it is said in a family's numbers: looks up what a
/// REF names, checks the machine's state, does short work at once and starts a job for long work.
/// Threads: any, all at once.
class SnapshotWork {
 public:
  /// Both outlive this.
  SnapshotWork(snapshot::VmControl& vm, JobTable& jobs) : vm_(vm), jobs_(jobs) {}

  Checked<void> find_vm(const Ref& ref, std::string_view parameter, Space space) const;
  Checked<snapshot::SnapshotInfo> find_snapshot(const Ref& ref, std::string_view parameter,
                                                Space space) const;

  /// A job when memory is captured; else at once.
  Checked<Outcome> create(const snapshot::CreateOptions& options);

  enum class Manner { kJob, kAtOnce };
  /// Of a machine that is off or saved; else kInvalidState.
  Checked<Outcome> apply(const snapshot::SnapshotInfo& info, Manner manner);
  /// Of a machine in any state that is no transition.
  Checked<Outcome> apply_in_place(const snapshot::SnapshotInfo& info,
                                  const snapshot::ApplyOptions& options);
  Checked<Outcome> destroy(const snapshot::SnapshotInfo& info);
  Checked<Outcome> destroy_tree(const snapshot::SnapshotInfo& info);
  Checked<Outcome> verify(const snapshot::SnapshotInfo& info);
  Checked<Outcome> rename(const snapshot::SnapshotInfo& info, const std::string& name,
                          const std::string& notes);
  Checked<std::string> selftest();

  snapshot::PowerState state() const { return vm_.info().state; }

 private:
  Checked<void> check_settled() const;
  Checked<Outcome> start_job(JobTable::Order order, JobTable::Work work);
  Checked<Outcome> run_now(const JobTable::Order& order, const JobTable::Work& work);

  snapshot::VmControl& vm_;
  JobTable& jobs_;
};

}  // namespace stasis::cimapi
