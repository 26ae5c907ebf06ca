#include "snapshot/vm_run_record.h"

#include <algorithm>
#include <array>

#include "snapshot/json_reader.h"

namespace stasis::snapshot {
namespace {

using base::Result;

struct Word {
  std::string_view word;
  RunEnd end;
};

constexpr std::array kWords = {
    Word{"", RunEnd::kNone},
    Word{"power-off", RunEnd::kPowerOff},
    Word{"reboot", RunEnd::kReboot},
    Word{"panic", RunEnd::kPanic},
    Word{"triple-fault", RunEnd::kTripleFault},
    Word{"internal-error", RunEnd::kInternalError},
    Word{"stopped", RunEnd::kStopped},
    Word{"signal", RunEnd::kSignal},
    Word{"failed", RunEnd::kFailed},
    Word{"crashed", RunEnd::kCrashed},
};

constexpr std::int64_t kMaxPid = std::int64_t{1} << 22;  // PID_MAX_LIMIT of Linux on 64 bits

}  // namespace

std::string_view run_end_word(RunEnd end) {
  const auto found =
      std::find_if(kWords.begin(), kWords.end(), [&](const Word& one) { return one.end == end; });
  return found == kWords.end() ? "" : found->word;
}

std::string encode_run_record(const RunRecord& record) {
  const auto& [pid, started_unix_us, ended_unix_us, end, detail] = record;
  const nlohmann::json value = {{"schema", kStatusSchema},
                                {"pid", pid},
                                {"started_unix_us", started_unix_us},
                                {"ended_unix_us", ended_unix_us},
                                {"end", run_end_word(end)},
                                {"detail", detail}};
  // details may quote file names, which need not be UTF-8
  return value.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + '\n';
}

Result<RunRecord> decode_run_record(std::string_view text) {
  JsonReader reader = TRY(JsonReader::parse(text, "status.json"));
  TRY(reader.check_schema(kStatusSchema));
  RunRecord record;
  record.pid = static_cast<std::int64_t>(TRY(reader.number("pid", 0, kMaxPid)));
  record.started_unix_us = TRY(reader.number("started_unix_us"));
  record.ended_unix_us = TRY(reader.number("ended_unix_us"));
  const std::string word = TRY(reader.text("end"));
  const auto found =
      std::find_if(kWords.begin(), kWords.end(), [&](const Word& one) { return one.word == word; });
  if (found == kWords.end()) return reader.bad("end", "unknown word");
  record.end = found->end;
  record.detail = TRY(reader.text("detail", 64 * 1024));
  TRY(reader.finish());
  return record;
}

std::string crash_sentence(std::string_view note) {
  constexpr std::string_view kNoNote =
      "its process was killed (SIGKILL?) while it ran; no reason left";
  constexpr std::size_t kMaxShownNote = 256;
  const auto end = std::find_if(note.begin(), note.end(),
                                [](char letter) { return letter < ' ' || letter > '~'; });
  const std::string_view line = note.substr(0, static_cast<std::size_t>(end - note.begin()));
  if (line.empty()) return std::string(kNoNote);
  return "its process died: " + std::string(line.substr(0, kMaxShownNote));
}

}  // namespace stasis::snapshot
