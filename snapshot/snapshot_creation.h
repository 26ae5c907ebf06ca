#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/thread_rescue.h"
#include "snapshot/disk_chains.h"
#include "snapshot/machine_runner.h"
#include "snapshot/present_book.h"
#include "snapshot/ram_capture.h"
#include "snapshot/snapshot_store.h"
#include "vmm/machine_state.h"

namespace stasis::snapshot {

/// The making of one snapshot: prepared, taken at one instant, made durable.
///
/// Order, so that a kill at any moment loses nothing: the overlays exist, then the machine's
/// present names them and the snapshot to come, then the instant; from there on they are what is
/// written to, whether or not the snapshot comes to be. It does in one step, which makes it what
/// now descends from, too. Threads: one.
class SnapshotCreation {
 public:
  struct Wiring {
    const VmDirectory& directory;
    const VmConfig& config;
    const SnapshotStore& store;
    MachineRunner& runner;
    PresentBook& book;
    KnownUuids& uuids;
  };

  SnapshotCreation(Wiring wiring, CreateOptions options, WorkObserver& observer)
      : wiring_(wiring), options_(std::move(options)), observer_(observer) {}

  /// After an error the machine is as before, its disks' chains may have grown.
  base::Result<SnapshotInfo> run();

 private:
  using Clock = std::chrono::steady_clock;

  void give_way_to_guest();
  base::Status prepare();
  base::Status take(MachineRunner::Session& session, const PendingSnapshot& pending);
  base::Status take_running(MachineRunner::Session& session, vmm::Machine& machine);
  base::Status take_off(const PendingSnapshot& pending);
  base::Status freeze(MachineRunner::Session& session, vmm::Machine& machine,
                      std::vector<devices::PreparedOverlay>& overlays);
  base::Result<std::vector<devices::PreparedOverlay>> prepare_overlays(vmm::Machine& machine);
  void take_back(std::vector<devices::PreparedOverlay>& overlays);
  void set_total();
  base::Status seal(vmm::Machine& machine);
  base::Status finish(PendingSnapshot& pending);
  base::Status write_state(const PendingSnapshot& pending);
  base::Status link_memory(const PendingSnapshot& pending, const std::string& from);
  base::Status name_in_present();
  void note_commit();
  bool wants_memory() const { return options_.kind == SnapshotKind::kFull; }

  const Wiring wiring_;
  const CreateOptions options_;
  WorkObserver& observer_;
  const Clock::time_point started_ = Clock::now();
  Manifest manifest_;
  Present before_;
  std::vector<DiskChain> frozen_;               // the disks at the instant
  std::vector<DiskChain> next_;                 // the same with the overlays
  std::unique_ptr<RamCapture> capture_;         // null without memory, as the next
  std::unique_ptr<base::ThreadRescue> rescue_;  // of vCPUs, until all is durable
  vmm::MachineState state_;
};

}  // namespace stasis::snapshot
