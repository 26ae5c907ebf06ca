#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "base/thread_placement.h"
#include "devices/byte_stream.h"
#include "vmm/ending.h"
#include "vmm/guest_ram.h"
#include "vmm/kvm/vm_state.h"
#include "vmm/machine_config.h"
#include "vmm/machine_disk.h"
#include "vmm/machine_ground.h"
#include "vmm/surviving_state.h"

namespace stasis::vmm {

class Machine;
struct MachineParts;
struct MachineState;

/// What a machine is restored from, besides its memory.
struct Restore {
  const MachineState& state;
  ClockPolicy clock = ClockPolicy::kCatchUp;
  bool new_generation = true;  ///< tell the guest that its past may be lived twice (VMGenID)
};

/// Proof that a machine's vCPUs and device workers are at rest; lets them run again when it goes.
/// What needs a resting machine takes one of these, so that the other case does not compile.
class [[nodiscard]] PausedMachine {
 public:
  PausedMachine(PausedMachine&& other) noexcept
      : machine_(std::exchange(other.machine_, nullptr)), begin_(other.begin_) {}
  PausedMachine& operator=(PausedMachine&&) = delete;
  ~PausedMachine();

  Machine& machine() const { return *machine_; }

  /// When the vCPUs were asked to stop.
  std::chrono::steady_clock::time_point begin() const { return begin_; }

 private:
  friend class Machine;
  explicit PausedMachine(Machine& machine) : machine_(&machine) {}
  Machine* machine_;
  std::chrono::steady_clock::time_point begin_;
};

/// One virtual machine, from its parts to its end. A reset of the guest ends it too: the caller
/// creates it anew.
/// Threads: one controlling thread; `end` and `press_power_button` from any.
class Machine {
 public:
  struct Io {
    devices::ByteSink& console;  ///< what the guest prints; outlives the machine
  };

  /// Opens all that `config` names and loads the kernel; nothing runs yet. Errors are for people:
  /// one sentence with the value, the reason and the remedy.
  /// `ahead`: a VM made ahead of time, if any. `survivors`: of the machine before it, whose guest
  /// asked for a reset; else the power has just been switched on.
  static base::Result<std::unique_ptr<Machine>> create(
      const MachineConfig& config, Io io, GroundAhead ahead = {},
      const std::optional<SurvivingState>& survivors = {});

  /// The machine that `restore.state` was saved from, at rest until `start`. `config` has to
  /// describe the same devices, vCPUs and memory as then; its kernel is not looked at. Whatever the
  /// host or the configuration cannot do is an error that names the item, and nothing is left
  /// behind. Connections of a user-mode network are gone: the guest's peers answer with resets.
  static base::Result<std::unique_ptr<Machine>> restore(const MachineConfig& config, Io io,
                                                        RamSource& ram, const Restore& restore);

  /// The same on ground that was laid ahead of time, with the saved memory.
  static base::Result<std::unique_ptr<Machine>> restore(const MachineConfig& config, Io io,
                                                        MachineGround ground,
                                                        const Restore& restore);

  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  /// Stops the vCPUs and device workers, waits for disk requests in flight.
  ~Machine();

  /// What the kernel file is, for example "bzImage 2.15, lz4 payload"; empty after a restore.
  const std::string& kernel_description() const;

  /// Lets the guest run. Once.
  void start();

  /// For a caller who has let the guest run, and has long work to do himself: vCPUs that the
  /// scheduler has woken on his CPU leave it (base/thread_placement.h).
  void work_beside_caller();

  /// The same, at rest from the beginning: no instruction of the guest's runs before the returned
  /// value goes. Errors as `pause`.
  base::Result<PausedMachine> start_paused(
      std::chrono::milliseconds limit = std::chrono::seconds(10));

  /// Readable once the machine has ended.
  const base::Fd& ended_event() const;

  /// Nothing while it runs.
  std::optional<Ending> ending() const;

  /// Waits for the end.
  Ending wait() const;

  /// Ends the machine from the host's side, unless it has ended already.
  void end(Ending ending);

  /// The vCPUs' threads, for those who are to keep off their CPUs.
  const std::shared_ptr<const base::ThreadWatches>& vcpu_watches();

  /// For a caller who is about to pause the machine: held disks, and then vCPUs that stand still,
  /// wait for him, who is woken on the CPU where he went to sleep: not on one where a vCPU works,
  /// perhaps with more right to it. `pause` does it, too.
  void keep_caller_off_vcpus();

  /// Freezes vCPUs, then device workers; disk requests in flight are finished first. kTimeout names
  /// what did not come to rest before `limit` passed; the machine then runs on.
  base::Result<PausedMachine> pause(std::chrono::milliseconds limit = std::chrono::seconds(10));

  /// All that there is besides memory and disks' contents; only copies, so it is quick.
  /// kInvalidState: the machine has ended, or its guest is on the way there (a reboot, power-off).
  base::Result<MachineState> save(const PausedMachine& paused) const;

  /// The disks, in the configuration's order: layers are switched while `pause` holds the machine.
  const std::vector<MachineDisk>& disks() const;

  /// The guest's memory.
  const GuestRam& ram(const PausedMachine& paused) const;

  /// Save, restore into a second machine that never runs and has nothing of the host behind it,
  /// save again, compare. kCorrupt names the first section and field that differs. On success one
  /// sentence on what was compared. The machine itself is not touched.
  base::Result<std::string> selftest(const PausedMachine& paused) const;

  /// Gives forwarded ports back to the host, so that a machine can take this one's place.
  void release_ports(const PausedMachine& paused);

  /// Takes them again; an error names a port that somebody else has by now.
  base::Status claim_ports(const PausedMachine& paused);

  /// What a reset leaves of it, for the one that comes next. Also when it has ended.
  SurvivingState surviving_state() const;

  /// Asks the guest to shut down (ACPI power button).
  void press_power_button();

  /// Where the guest's console takes input.
  devices::ByteReceiver& console_input();

 private:
  friend class PausedMachine;
  explicit Machine(std::unique_ptr<MachineParts> parts);
  void resume();
  void keep_disks_off_vcpus();

  std::unique_ptr<MachineParts> parts_;
  std::shared_ptr<const base::ThreadWatches> vcpu_watches_;  // by vcpu_watches()
  bool started_ = false;
};

}  // namespace stasis::vmm
