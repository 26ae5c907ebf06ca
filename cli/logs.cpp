#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <thread>

#include "cli/json_output.h"
#include "cli/management_verb.h"
#include "cli/say.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::Fd;
using base::Status;
using snapshot::VmDirectory;

constexpr OptionSpec kLogsOptions[] = {
    {"follow", "", "Goes on as long as the machine runs.", false, 'f'},
    kJsonOption,
};

constexpr std::string_view kLogsNotes =
    "Up to 32 MiB are kept, of all runs.\n"
    "\nExamples:\n"
    "  stasis logs web1 | tail\n"
    "  stasis logs -f web1\n";

constexpr std::chrono::milliseconds kLogLook{100};

/// What is in `file` from its offset on. False when standard output is gone.
bool print_rest(const Fd& file) {
  std::array<char, 65536> bytes;
  for (;;) {
    const ssize_t count = ::read(file.get(), bytes.data(), bytes.size());
    if (count <= 0) return true;
    if (!print({bytes.data(), static_cast<std::size_t>(count)})) return false;
  }
}

Fd open_to_read(const std::string& path) {
  return Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

bool is_same(const Fd& file, const std::string& path) {
  struct stat mine {};
  struct stat there {};
  return file.is_open() && ::fstat(file.get(), &mine) == 0 && ::stat(path.c_str(), &there) == 0 &&
         mine.st_ino == there.st_ino;
}

/// Also into the next file, when the log is rotated.
Status follow(const VmDirectory& directory, Fd file) {
  const std::string path = directory.console_log_path();
  for (;;) {
    const bool is_last = !TRY(directory.holder());
    if (file.is_open() && !print_rest(file)) return {};
    if (is_last) return {};
    std::this_thread::sleep_for(kLogLook);
    if (is_same(file, path)) continue;
    if (file.is_open() && !print_rest(file)) return {};  // what came just before the change
    file = open_to_read(path);
  }
}

base::Result<std::string> read_all(const Fd& file) {
  std::string text;
  std::array<char, 65536> bytes;
  ssize_t count = 0;
  while ((count = ::read(file.get(), bytes.data(), bytes.size())) > 0) {
    text.append(bytes.data(), static_cast<std::size_t>(count));
  }
  return text;
}

base::Result<std::string> logs(const CommandLine& line) {
  const auto directory = TRY(VmDirectory::open(snapshot::state_root(), vm_name(line)));
  const std::string path = directory.console_log_path();
  const Fd before = open_to_read(path + ".1");
  Fd now = open_to_read(path);
  if (line.has("json") && line.has("follow")) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      "--json and --follow: one record has an end; give one of them");
  }
  if (line.has("json")) {
    return json_record(
        {{"machine", vm_name(line)}, {"log", TRY(read_all(before)) + TRY(read_all(now))}});
  }
  if (before.is_open() && !print_rest(before)) return "";
  if (now.is_open() && !print_rest(now)) return "";
  if (line.has("follow")) TRY(follow(directory, std::move(now)));
  return "";
}

ExitCode run_logs(const CommandLine& line) {
  return finish_verb("logs", logs(line));
}

}  // namespace

const Verb kLogsVerb = {"logs",       "Shows what a machine's guest printed.",
                        kLogsOptions, kLogsNotes,
                        run_logs,     kVmArgument};

}  // namespace stasis::cli
