#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "snapshot/disk_chains.h"
#include "snapshot/machine_runner.h"
#include "snapshot/present_book.h"
#include "snapshot/snapshot_store.h"
#include "snapshot/vm_control.h"
#include "snapshot/vm_directory.h"
#include "snapshot/work_slot.h"

namespace stasis::snapshot {

/// A named machine with its snapshots: what its process, or a program that embeds the library,
/// works with. Holds the machine's lock. Threads: any.
class VirtualMachine final : public VmControl {
 public:
  struct Io {
    devices::ByteSink& console;  ///< what the guest prints; outlives this
    ConsoleInput& input;         ///< outlives this
  };

  /// The machine of `directory`, switched off (or saved). Removes half-written snapshots. Errors
  /// name the file that cannot be used.
  static base::Result<std::unique_ptr<VirtualMachine>> open(VmDirectory directory, VmLock lock,
                                                            Io io);

  /// What a caller who starts the machine at once has already.
  struct Beforehand {
    VmConfig config;         ///< the directory's
    vmm::GroundAhead ahead;  ///< a VM that is being made meanwhile
  };
  static base::Result<std::unique_ptr<VirtualMachine>> open(VmDirectory directory, VmLock lock,
                                                            Io io, Beforehand beforehand);

  /// Switches the machine off, like a power cut for the guest.
  ~VirtualMachine() override;

  const VmDirectory& directory() const { return directory_; }

  /// Counts changes of the power state; drain it before looking (base::drain_eventfd).
  const base::Fd& changed_event() const { return changed_; }

  /// How the last run of this process ended; nothing while it runs or before the first.
  std::optional<vmm::Ending> last_ending() const;

  /// As `start`, from `id`: applies it first.
  base::Status start_from(const std::string& id, const ApplyOptions& options);

  VmInfo info() const override;
  std::vector<SnapshotInfo> snapshots() const override;
  base::Result<SnapshotInfo> create_snapshot(const CreateOptions& options,
                                             WorkObserver& observer) override;
  base::Status apply_snapshot(const std::string& id, const ApplyOptions& options,
                              WorkObserver& observer) override;
  base::Status destroy_snapshot(const std::string& id) override;
  base::Status destroy_snapshot_tree(const std::string& id) override;
  base::Status verify_snapshot(const std::string& id, WorkObserver& observer) override;
  base::Status rename_snapshot(const std::string& id, const std::string& name,
                               const std::string& notes) override;
  base::Result<std::string> selftest() override;
  base::Status start() override;
  base::Status pause() override;
  base::Status resume() override;
  base::Status shut_down() override;
  base::Status power_off() override;
  base::Status reset() override;

 private:
  /// What `info` tells besides the runner's state.
  struct Facts {
    std::uint64_t started_unix_us = 0;
    std::optional<vmm::Ending> ending;
    ApplyOptions resume_options;  // for a saved machine's next start
  };

  VirtualMachine(VmDirectory directory, VmLock lock, Io io, VmConfig config, SnapshotStore store,
                 base::Fd changed)
      : directory_(std::move(directory)),
        lock_(std::move(lock)),
        io_(io),
        config_(std::move(config)),
        store_(std::move(store)),
        changed_(std::move(changed)) {}

  base::Status begin();
  vmm::GroundAhead take_ahead(vmm::GroundAhead::Purpose purpose) const;
  Present present() const { return book_->now(); }
  Present present_from(const std::string& snapshot, const std::vector<DiskChain>& chains) const;
  base::Result<std::vector<SnapshotInfo>> infos() const;
  base::Status remove_unused_layers_of_present();
  void give_up(const std::vector<DiskChain>& chains);
  base::Result<vmm::MachineConfig> present_config() const;

  base::Result<std::unique_ptr<vmm::Machine>> boot(
      const std::optional<vmm::SurvivingState>& survivors = {}) const;
  base::Result<std::unique_ptr<vmm::Machine>> create_machine(
      const vmm::MachineConfig& config, const std::optional<vmm::SurvivingState>& survivors) const;
  base::Result<std::unique_ptr<vmm::Machine>> restore(const OpenSnapshot& snapshot,
                                                      const std::vector<DiskChain>& chains,
                                                      const ApplyOptions& options) const;
  base::Result<std::unique_ptr<vmm::Machine>> restore_here(const OpenSnapshot& snapshot,
                                                           const std::vector<DiskChain>& chains,
                                                           const ApplyOptions& options) const;
  base::Result<std::unique_ptr<vmm::Machine>> make_from(const OpenSnapshot& snapshot,
                                                        const std::vector<DiskChain>& chains,
                                                        const ApplyOptions& options) const;
  base::Status start_on(MachineRunner::Session& session, const OpenSnapshot& snapshot,
                        const std::vector<DiskChain>& chains, const ApplyOptions& options);
  base::Result<OpenSnapshot> open_own(const std::string& id) const;
  base::Status start_in(MachineRunner::Session& session);
  base::Status resume_in(MachineRunner::Session& session);
  base::Status resume_saved(MachineRunner::Session& session, const Present& now);
  void launch(MachineRunner::Session& session, std::unique_ptr<vmm::Machine> machine);
  void ended(const vmm::Ending& ending);

  base::Status apply_off(const OpenSnapshot& snapshot, Present next,
                         const std::vector<DiskChain>& chains, const ApplyOptions& options);
  base::Status apply_running(MachineRunner::Session& session, const OpenSnapshot& snapshot,
                             const Present& next, const std::vector<DiskChain>& chains,
                             const ApplyOptions& options);
  base::Status destroy(const std::vector<std::string>& ids);

  const VmDirectory directory_;
  const VmLock lock_;
  const Io io_;
  const VmConfig config_;
  const SnapshotStore store_;
  const base::Fd changed_;
  KnownUuids uuids_;
  WorkSlot work_;
  std::optional<PresentBook> book_;  // not before `begin`
  base::Guarded<Facts> facts_;
  mutable base::Guarded<vmm::GroundAhead> ahead_;  // for the first start
  std::unique_ptr<MachineRunner> runner_;          // last: its thread uses the rest
};

}  // namespace stasis::snapshot
