#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "snapshot/vm_config.h"
#include "snapshot/vm_present.h"
#include "snapshot/vm_run_record.h"

namespace stasis::snapshot {

/// The right to change one machine's folder; held by the machine's process until this goes. It is a
/// lock on an open file (F_OFD_SETLK), so a forked child that keeps its copy of the descriptor
/// keeps the lock: such a child closes `file`.
class VmLock {
 public:
  const base::Fd& file() const { return file_; }

  /// This process becomes the one that others are told of: after a fork.
  base::Status name_this_process() const;

 private:
  friend class VmDirectory;
  explicit VmLock(base::Fd file) : file_(std::move(file)) {}
  base::Fd file_;
};

/// The folder of one named machine, `ROOT/vms/NAME`:
///
///     config.json    what the machine is          current.json  its disks' chains, present
///     snapshot status.json    its last run                 lock          held by its process,
///     names it disks/         overlays                     snapshots/    one folder a snapshot
///     console.log    what the guest printed       crash         what a fatal signal left
///     control.sock, console.sock                  of its process
///
/// Folders are 0700, files 0600. Nothing in it is believed: sizes are limited, members checked.
/// Threads: any; writers hold the VmLock, and write one at a time.
class VmDirectory {
 public:
  /// A new machine, complete and durable or not there at all, and its lock. kInvalidState when the
  /// name is taken. `config.machine.name` is the name.
  static base::Result<std::pair<VmDirectory, VmLock>> create(const std::string& root,
                                                             const VmConfig& config);

  /// kNotFound names the machines there are.
  static base::Result<VmDirectory> open(const std::string& root, const std::string& name);

  /// Names of all machines, sorted. Empty when there is no root.
  static base::Result<std::vector<std::string>> list(const std::string& root);

  /// The same folder once more, for another owner.
  base::Result<VmDirectory> duplicate() const;

  const std::string& name() const { return name_; }
  const std::string& path() const { return path_; }
  const base::Fd& folder() const { return folder_; }
  std::string disks_path() const { return path_ + "/disks"; }
  std::string snapshots_path() const { return path_ + "/snapshots"; }
  std::string console_log_path() const { return path_ + "/console.log"; }
  std::string control_socket_path() const { return path_ + "/control.sock"; }
  std::string console_socket_path() const { return path_ + "/console.sock"; }

  /// kBusy names the process that holds it.
  base::Result<VmLock> lock() const;

  /// The process that holds the lock, without waiting; nothing when nobody does. 0: not told.
  base::Result<std::optional<pid_t>> holder() const;

  base::Result<VmConfig> config() const;

  /// A machine without the file has the Present{} of one without snapshots. Settled.
  base::Result<Present> present() const;
  base::Status save_present(const Present& present) const;

  /// `present` with the snapshot that now descends from as `current`, and names of snapshots that
  /// are not there left out: one that was never completed, or one whose removal came first.
  Present settled(Present present) const;

  /// `save_present` in two steps: see `prepare_replacement`.
  base::Status prepare_present(const Present& present) const;
  base::Status save_prepared_present() const;

  /// Nothing when it never ran. A record without an end is a run that goes on (somebody holds the
  /// lock) or that crashed.
  base::Result<std::optional<RunRecord>> run_record() const;
  base::Status save_run_record(const RunRecord& record) const;

  /// As `run_record`, for a machine whose lock nobody else holds: a run without an end has crashed,
  /// and the record says of what.
  base::Result<std::optional<RunRecord>> settled_run_record() const;

  /// The empty file for a fatal signal's last words.
  base::Result<base::Fd> open_crash_note() const;

  /// Removes machine, snapshots and all. At once for others; a loss of power may leave a hidden
  /// folder, which the next `create` or `remove` sweeps away.
  base::Status remove(VmLock lock) &&;

 private:
  base::Result<VmLock> lock_in_place() const;
  VmDirectory(std::string name, std::string path, base::Fd folder)
      : name_(std::move(name)), path_(std::move(path)), folder_(std::move(folder)) {}

  std::string name_;
  std::string path_;
  base::Fd folder_;
};

}  // namespace stasis::snapshot
