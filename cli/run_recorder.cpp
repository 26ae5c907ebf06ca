#include "cli/run_recorder.h"

#include <unistd.h>

#include <chrono>

#include "base/log.h"
#include "cli/fatal_signals.h"
#include "cli/foreground.h"
#include "snapshot/vm_control.h"

namespace stasis::cli {
namespace {

using snapshot::RunEnd;

RunEnd run_end_of(vmm::Ending::Kind kind) {
  using Kind = vmm::Ending::Kind;
  switch (kind) {
    case Kind::kPowerOff:
      return RunEnd::kPowerOff;
    case Kind::kReset:
      return RunEnd::kReboot;
    case Kind::kPanic:
      return RunEnd::kPanic;
    case Kind::kTripleFault:
      return RunEnd::kTripleFault;
    case Kind::kInternalError:
      return RunEnd::kInternalError;
    case Kind::kStopped:
      break;
  }
  return RunEnd::kStopped;
}

}  // namespace

base::Result<RunRecorder> RunRecorder::open(snapshot::VmDirectory directory) {
  std::string crash;
  const auto before = directory.run_record();
  if (before && *before &&
      ((*before)->end == RunEnd::kNone || (*before)->end == RunEnd::kCrashed)) {
    const auto settled = TRY(directory.settled_run_record());
    // the note below is about to be emptied
    if ((*before)->end == RunEnd::kNone) TRY(directory.save_run_record(*settled));
    crash = settled->detail;
  }
  base::Fd note = TRY(directory.open_crash_note());
  leave_note_at_fatal_signal(note);
  return RunRecorder(std::move(directory), std::move(note), std::move(crash));
}

void RunRecorder::save() const {
  const auto saved = directory_.save_run_record(*record_);
  if (!saved) base::log::warn("{}", saved.error().message());
}

void RunRecorder::began() {
  record_ = snapshot::RunRecord{::getpid(), snapshot::unix_us_now(), 0, RunEnd::kNone, ""};
  save();
}

void RunRecorder::ended(const vmm::Ending& ending) {
  ended(run_end_of(ending.kind), outcome_of(ending).sentence);
}

void RunRecorder::ended_by_signal(std::string_view sentence) {
  ended(RunEnd::kSignal, sentence);
}

void RunRecorder::ended(RunEnd end, std::string_view detail) {
  if (!is_running()) return;
  record_->ended_unix_us = snapshot::unix_us_now();
  record_->end = end;
  record_->detail = detail;
  save();
}

}  // namespace stasis::cli
