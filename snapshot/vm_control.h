#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "vmm/machine_config.h"

namespace stasis::snapshot {

/// What a virtual machine is doing.
enum class PowerState : std::uint8_t {
  kOff,
  kStarting,
  kRunning,
  kPaused,  ///< frozen in memory
  kSaved,   ///< off, but the next start resumes the memory of the snapshot that was applied
  kStopping,
};

/// "off", "running" and so on, as people and records have it.
std::string_view word_for(PowerState state);

/// Microseconds since 1970: the unit of all times below.
std::uint64_t unix_us_now();

enum class SnapshotKind : std::uint8_t {
  kFull,  ///< memory, devices and disks
  kDisk,  ///< disks only; applied, the machine is off
};

/// How memory is captured.
enum class Engine : std::uint8_t {
  kAuto,         ///< the best the host allows: fork
  kStopAndCopy,  ///< the guest waits until its memory is written; any host
  kFork,         ///< a child process holds the frozen memory and writes it while the guest runs
};

/// What happens to a restored guest's clock.
enum class ClockPolicy : std::uint8_t {
  kCatchUp,  ///< the time between snapshot and restore has passed for the guest, too
  kFreeze,   ///< the guest's clock goes on where it stopped
};

struct CreateOptions {
  SnapshotKind kind = SnapshotKind::kFull;
  std::string
      name{};  ///< empty: "NAME (date - time)"; at most 100 characters, no control characters
  std::string notes{};  ///< free text
  Engine engine = Engine::kAuto;
  std::optional<int> compression_level{};  ///< zstd level 1..19; absent: stored raw
};

struct ApplyOptions {
  ClockPolicy clock = ClockPolicy::kCatchUp;
  bool new_generation = true;  ///< tell the guest that it is a copy (VMGenID)
};

/// What a capture cost.
struct CaptureReport {
  std::string engine;                ///< "fork", "stop-and-copy", "none" without memory
  std::uint64_t pause_us = 0;        ///< vCPUs asked to stop .. vCPUs let go
  std::uint64_t total_us = 0;        ///< request .. durable
  std::uint64_t captured_bytes = 0;  ///< memory that was neither untouched nor zero
  std::uint64_t stored_bytes = 0;    ///< bytes in the store's files for it
};

/// One snapshot, as lists show it.
struct SnapshotInfo {
  std::string id;  ///< UUID in upper case; never used again
  std::string name;
  std::string notes;
  std::string parent;  ///< id; empty for a root
  std::uint64_t created_unix_us = 0;
  SnapshotKind kind = SnapshotKind::kFull;
  bool has_memory = false;  ///< false also for a full snapshot of a machine that was off
  CaptureReport capture;
};

/// One virtual machine, as lists show it.
struct VmInfo {
  std::string id;  ///< UUID in upper case
  PowerState state = PowerState::kOff;
  vmm::MachineConfig config;  ///< `config.name` is the machine's name
  std::uint64_t created_unix_us = 0;
  std::uint64_t started_unix_us = 0;  ///< 0 when off
  std::string current;                ///< the snapshot "now" descends from; empty: none
  std::string last_applied;           ///< id; empty: none
  std::string last_ending;            ///< one sentence on how the last run ended; empty: none
};

/// Told how far long work is; asked whether to go on.
/// Threads: called on the thread that does the work; `is_cancelled` is cheap.
class WorkObserver {
 public:
  virtual ~WorkObserver() = default;
  virtual void progressed(std::uint64_t done_bytes, std::uint64_t total_bytes) = 0;
  virtual bool is_cancelled() const = 0;
  /// From here on the work cannot be cancelled any more: it commits.
  virtual void committing() = 0;
};

/// One virtual machine with its snapshots: everything management can ask of it.
///
/// Long work takes the machine's one work lock; while it is held, others get kBusy with a sentence
/// that names the work. Kinds of error: kInvalidArgument (a value is wrong), kNotFound (no such
/// snapshot), kInvalidState (wrong power state), kBusy, kUnsupported, kTimeout (machine as before),
/// kOutOfResources, kIo, kCorrupt, kCancelled. After any error the machine is as before.
/// Threads: any, all at once.
class VmControl {
 public:
  virtual ~VmControl() = default;

  virtual VmInfo info() const = 0;
  virtual std::vector<SnapshotInfo> snapshots() const = 0;  ///< oldest first

  /// Running, paused, off and saved machines; the power state stays.
  virtual base::Result<SnapshotInfo> create_snapshot(const CreateOptions& options,
                                                     WorkObserver& observer) = 0;

  /// Makes the snapshot the machine's present. A running or paused machine changes in place and
  /// runs on from the snapshot, or is off after one without memory; a machine that is off becomes
  /// saved, or stays off. When anything fails the old present goes on.
  virtual base::Status apply_snapshot(const std::string& id, const ApplyOptions& options,
                                      WorkObserver& observer) = 0;

  /// Children survive: they become children of the snapshot's parent.
  virtual base::Status destroy_snapshot(const std::string& id) = 0;

  /// The snapshot and all below it.
  virtual base::Status destroy_snapshot_tree(const std::string& id) = 0;

  /// Checks every byte of the snapshot against its checksums; errors name file and place.
  virtual base::Status verify_snapshot(const std::string& id, WorkObserver& observer) = 0;

  virtual base::Status rename_snapshot(const std::string& id, const std::string& name,
                                       const std::string& notes) = 0;

  /// Save -> restore -> save of the running or paused machine, without harm to it; an error names
  /// the first section of state that differs. On success, what was compared.
  virtual base::Result<std::string> selftest() = 0;

  /// Off: boots. Saved: goes on from the applied snapshot. Paused: as `resume`.
  virtual base::Status start() = 0;
  virtual base::Status pause() = 0;
  virtual base::Status resume() = 0;

  /// Presses the power button: asks the guest to shut down; returns at once.
  virtual base::Status shut_down() = 0;

  /// Pulls the plug.
  virtual base::Status power_off() = 0;

  /// Reset button: the guest boots anew.
  virtual base::Status reset() = 0;
};

}  // namespace stasis::snapshot
