#pragma once

#include <optional>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "snapshot/vm_directory.h"
#include "vmm/ending.h"

namespace stasis::cli {

/// Keeps `status.json` of the machine that this process is: when its runs begin, and how they end.
/// A failure to write is a warning: the guest matters more.
/// Threads: one.
class RunRecorder {
 public:
  /// Takes note of how the run before ended, if its process could not, and from now on of what a
  /// fatal signal does to this one. The caller holds the machine's lock.
  static base::Result<RunRecorder> open(snapshot::VmDirectory directory);

  /// What became of the process of the run before; empty when that run ended as runs do.
  const std::string& crash() const { return crash_; }

  bool is_running() const { return record_ && record_->end == snapshot::RunEnd::kNone; }
  void began();
  void ended(const vmm::Ending& ending);
  void ended_by_signal(std::string_view sentence);

 private:
  RunRecorder(snapshot::VmDirectory directory, base::Fd note, std::string crash)
      : directory_(std::move(directory)), note_(std::move(note)), crash_(std::move(crash)) {}
  void ended(snapshot::RunEnd end, std::string_view detail);
  void save() const;

  snapshot::VmDirectory directory_;
  base::Fd note_;
  std::string crash_;
  std::optional<snapshot::RunRecord> record_;
};

}  // namespace stasis::cli
