#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace stasis::snapshot {

/// How a run of a machine's process ended.
enum class RunEnd : std::uint8_t {
  kNone,  ///< it has not: it runs, or its process died without a word
  kPowerOff,
  kReboot,  ///< the guest rebooted, and was not to be started anew
  kPanic,
  kTripleFault,
  kInternalError,
  kStopped,  ///< by management: the plug was pulled
  kSignal,   ///< a signal asked the process to end
  kFailed,   ///< the host failed
  kCrashed,  ///< the machine's process died
};

/// The last run of a machine: `status.json`, written at its start and at its end.
struct RunRecord {
  std::int64_t pid = 0;
  std::uint64_t started_unix_us = 0;
  std::uint64_t ended_unix_us = 0;  ///< 0 while `end` is kNone
  RunEnd end = RunEnd::kNone;
  std::string detail;  ///< one sentence on the end

  bool operator==(const RunRecord&) const = default;
};

/// The newest layout of `status.json` that this program writes and reads.
inline constexpr std::uint64_t kStatusSchema = 1;

std::string encode_run_record(const RunRecord& record);

/// kUnsupported: of a newer schema; kCorrupt: anything that does not fit, with its place.
base::Result<RunRecord> decode_run_record(std::string_view text);

/// "power-off", "panic", ... as `status.json` and `--json` have it; "" for kNone.
std::string_view run_end_word(RunEnd end);

/// What a process left that a fatal signal killed: the content of file `crash`, in one sentence.
/// For an empty note a sentence that says so.
std::string crash_sentence(std::string_view note);

}  // namespace stasis::snapshot
