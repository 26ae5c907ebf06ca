#include "cli/management_verb.h"

#include <nlohmann/json.hpp>

#include "cli/json_output.h"
#include "cli/say.h"

namespace stasis::cli {

ExitCode exit_code_of(base::ErrorKind kind) {
  using Kind = base::ErrorKind;
  switch (kind) {
    case Kind::kInvalidArgument:
      return ExitCode::kUsage;
    case Kind::kNotFound:
      return ExitCode::kNotFound;
    case Kind::kInvalidState:
      return ExitCode::kWrongState;
    case Kind::kBusy:
      return ExitCode::kBusy;
    case Kind::kTimeout:
      return ExitCode::kTimedOut;
    case Kind::kCorrupt:
      return ExitCode::kDamaged;
    case Kind::kCancelled:
      return ExitCode::kInterrupted;
    case Kind::kPermissionDenied:
    case Kind::kUnsupported:
    case Kind::kOutOfResources:
      return ExitCode::kRefused;
    case Kind::kIo:
    case Kind::kInternal:
      break;
  }
  return ExitCode::kFailed;
}

ExitCode say_failure(std::string_view verb, const base::Error& error) {
  say(error.with_context(verb).message());
  return exit_code_of(error.kind());
}

ExitCode print_result(std::string_view text) {
  return print(text) ? ExitCode::kSuccess : ExitCode::kFailed;
}

ExitCode finish_verb(std::string_view verb, const base::Result<std::string>& text) {
  return text ? print_result(*text) : say_failure(verb, text.error());
}

std::string done_text(const CommandLine& line, std::string_view state) {
  if (!line.has("json")) return "";
  return json_record({{"machine", vm_name(line)}, {"state", state}});
}

const std::string& vm_name(const CommandLine& line) {
  return *line.argument("VM");
}

}  // namespace stasis::cli
