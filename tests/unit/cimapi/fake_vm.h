#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "snapshot/vm_control.h"

namespace stasis::cimapi::testing {

/// A virtual machine that exists on paper only. Work can be held up and made to fail.
/// Threads: any, all at once.
class FakeVm final : public snapshot::VmControl {
 public:
  static constexpr const char* kId = "11111111-2222-4333-8444-555555555555";

  explicit FakeVm(snapshot::PowerState state = snapshot::PowerState::kRunning);

  snapshot::VmInfo info() const override;
  std::vector<snapshot::SnapshotInfo> snapshots() const override;
  base::Result<snapshot::SnapshotInfo> create_snapshot(const snapshot::CreateOptions& options,
                                                       snapshot::WorkObserver& observer) override;
  base::Status apply_snapshot(const std::string& id, const snapshot::ApplyOptions& options,
                              snapshot::WorkObserver& observer) override;
  base::Status destroy_snapshot(const std::string& id) override;
  base::Status destroy_snapshot_tree(const std::string& id) override;
  base::Status verify_snapshot(const std::string& id, snapshot::WorkObserver& observer) override;
  base::Status rename_snapshot(const std::string& id, const std::string& name,
                               const std::string& notes) override;
  base::Result<std::string> selftest() override;
  base::Status start() override;
  base::Status pause() override;
  base::Status resume() override;
  base::Status shut_down() override;
  base::Status power_off() override;
  base::Status reset() override;

  /// What a test changes and looks at.
  void set_state(snapshot::PowerState state);
  snapshot::PowerState state() const { return info().state; }
  /// The next piece of work or change of state fails so.
  void fail_next(base::ErrorKind kind, std::string message);
  /// Work stops half way until `let_go`, or until it is cancelled.
  void hold();
  void let_go();
  /// Waits until work is held.
  void await_held();
  /// Held work has said that it commits.
  void commit_before_hold() { commits_early_ = true; }
  std::string add(const std::string& name, const std::string& parent, bool has_memory);

  struct Seen {
    snapshot::CreateOptions create;
    snapshot::ApplyOptions apply;
    std::vector<std::string> calls;
  };
  Seen seen() const;

 private:
  base::Status work(snapshot::WorkObserver& observer);
  base::Status take_failure();
  base::Status change(const char* call, snapshot::PowerState from, snapshot::PowerState to);
  std::size_t index_of(const std::string& id) const;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  snapshot::VmInfo info_;  // guarded by mutex_, as are all below
  std::vector<snapshot::SnapshotInfo> snapshots_;
  std::optional<base::Error> failure_;
  bool is_on_hold_ = false;
  bool is_held_ = false;
  bool commits_early_ = false;
  unsigned made_ = 0;
  Seen seen_;
};

/// Watches nothing, cancels when told to.
class TestObserver final : public snapshot::WorkObserver {
 public:
  void progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) override {
    done = done_bytes;
    total = total_bytes;
  }
  bool is_cancelled() const override { return cancel; }
  void committing() override { has_committed = true; }

  std::uint64_t done = 0;
  std::uint64_t total = 0;
  bool cancel = false;
  bool has_committed = false;
};

}  // namespace stasis::cimapi::testing
