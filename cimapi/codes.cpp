#include "cimapi/codes.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>

namespace stasis::cimapi {
namespace {

using base::ErrorKind;

struct Row {
  Verdict verdict;
  std::uint32_t v1;
  std::uint32_t v2;
  std::string_view text;
  ErrorKind kind;
};

/// In the order of Verdict. V2 has no number of its own for the last ones.
constexpr std::array<Row, 14> kRows = {{
    {Verdict::kCompleted, 0, 0, "completed", ErrorKind::kInternal},
    {Verdict::kStarted, 4096, 4096, "job started", ErrorKind::kInternal},
    {Verdict::kNotSupported, 32770, 1, "not supported", ErrorKind::kUnsupported},
    {Verdict::kFailed, 32768, 2, "failed", ErrorKind::kIo},
    {Verdict::kUnknown, 32771, 2, "status is unknown", ErrorKind::kInternal},
    {Verdict::kTimeout, 32772, 3, "timeout", ErrorKind::kTimeout},
    {Verdict::kInvalidParameter, 32773, 4, "invalid parameter", ErrorKind::kInvalidArgument},
    {Verdict::kInvalidState, 32775, 5, "invalid state", ErrorKind::kInvalidState},
    {Verdict::kInvalidType, 32776, 6, "invalid type", ErrorKind::kInvalidArgument},
    {Verdict::kWrongDataType, 32776, 4, "incorrect data type", ErrorKind::kInvalidArgument},
    {Verdict::kAccessDenied, 32769, 2, "access denied", ErrorKind::kPermissionDenied},
    {Verdict::kBusy, 32774, 5, "system is in use", ErrorKind::kBusy},
    {Verdict::kUnavailable, 32777, 5, "system is not available", ErrorKind::kInvalidState},
    {Verdict::kOutOfMemory, 32778, 2, "out of memory", ErrorKind::kOutOfResources},
}};

const Row& row_of(Verdict verdict) {
  return kRows[static_cast<std::size_t>(verdict)];
}

const Row* row_of_code(std::uint32_t code) {
  const auto* found = std::find_if(
      kRows.begin(), kRows.end(), [&](const Row& row) { return row.v1 == code || row.v2 == code; });
  return found == kRows.end() ? nullptr : found;
}

}  // namespace

std::uint32_t code_of(Family family, Verdict verdict) {
  return family == Family::kV1 ? row_of(verdict).v1 : row_of(verdict).v2;
}

Verdict verdict_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kInvalidArgument:
    case ErrorKind::kNotFound:
      return Verdict::kInvalidParameter;
    case ErrorKind::kPermissionDenied:
      return Verdict::kAccessDenied;
    case ErrorKind::kInvalidState:
      return Verdict::kInvalidState;
    case ErrorKind::kBusy:
      return Verdict::kBusy;
    case ErrorKind::kUnsupported:
      return Verdict::kNotSupported;
    case ErrorKind::kTimeout:
      return Verdict::kTimeout;
    case ErrorKind::kOutOfResources:
      return Verdict::kOutOfMemory;
    case ErrorKind::kIo:
    case ErrorKind::kCorrupt:
    case ErrorKind::kCancelled:
    case ErrorKind::kInternal:
      break;
  }
  return Verdict::kFailed;
}

std::optional<ErrorKind> kind_of_code(std::uint32_t code) {
  if (code == 0 || code == 4096) return std::nullopt;
  const Row* row = row_of_code(code);
  return row == nullptr ? ErrorKind::kInternal : row->kind;
}

std::string text_of_code(std::uint32_t code) {
  const Row* row = row_of_code(code);
  return fmt::format("{} ({})", row == nullptr ? "unknown return value" : row->text, code);
}

}  // namespace stasis::cimapi
