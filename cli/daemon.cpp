#include "cli/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "cli/dynamic_program.h"
#include "cli/say.h"

namespace stasis::cli {
namespace {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Fd;
using base::Result;
using base::Status;

constexpr char kReady = '+';
constexpr std::size_t kMaxReport = 8192;

struct Pipe {
  Fd reader;
  Fd writer;
};

Result<Pipe> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail(base::errno_error("pipe"));
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::string log_path_of(const snapshot::VmDirectory& directory) {
  return directory.path() + "/process.log";
}

Status leave_surroundings(const std::string& log_path) {
  ::setsid();
  ::umask(077);
  const Fd log = TRY(base::open_file(log_path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW));
  const Fd null = TRY(base::open_file("/dev/null", O_RDWR));
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(log.get(), STDOUT_FILENO);
  ::dup2(log.get(), STDERR_FILENO);
  if (::chdir("/") != 0) return fail(base::errno_error("/"));
  return {};
}

void write_report(Fd& writer, const std::string& text) {
  // to a pipe with nothing in it: taken as a whole, or nobody is there
  if (::write(writer.get(), text.data(), std::min(text.size(), kMaxReport)) < 0) return;
  writer.reset();
}

/// One byte, the kind of error as a letter from 'A', and the sentence.
std::string failure_report(const Error& error) {
  return static_cast<char>('A' + static_cast<int>(error.kind())) + error.message();
}

Result<Outcome> run_detached(snapshot::VmDirectory directory, snapshot::VmLock lock,
                             const VmTask& task, Fd& writer) {
  const std::string log_path = log_path_of(directory);
  const VmProcessCalls calls{
      .settle = [&] { return leave_surroundings(log_path); },
      .ready = [&](const std::string& crash) { write_report(writer, kReady + crash); },
  };
  return run_vm_process(std::move(directory), std::move(lock), task, calls);
}

[[noreturn]] void be_vm_process(snapshot::VmDirectory directory, snapshot::VmLock lock,
                                const VmTask& task, Fd writer) {
  const std::string name = directory.name();
  const auto outcome = run_detached(std::move(directory), std::move(lock), task, writer);
  if (!outcome) {
    write_report(writer, failure_report(outcome.error()));
    ::_exit(static_cast<int>(ExitCode::kRefused));
  }
  say(fmt::format("{}: {}", name, outcome->sentence));
  ::_exit(static_cast<int>(outcome->code));
}

std::string read_report(const Fd& reader) {
  std::string report(kMaxReport, '\0');
  ssize_t count = 0;
  do {
    count = ::read(reader.get(), report.data(), report.size());
  } while (count < 0 && errno == EINTR);
  report.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return report;
}

/// What is there to be said when it is ready, else its error.
Result<std::string> understand(const std::string& report, const std::string& log_path) {
  if (report.empty()) {
    return fail(ErrorKind::kInternal,
                fmt::format("its process died before it was ready; see {}", log_path));
  }
  if (report[0] == kReady) return report.substr(1);
  return fail(static_cast<ErrorKind>(report[0] - 'A'), report.substr(1));
}

}  // namespace

Status spawn_vm_process(snapshot::VmDirectory directory, snapshot::VmLock lock,
                        const VmTask& task) {
  Pipe pipe = TRY(make_pipe());
  const std::string log_path = log_path_of(directory);
  const std::string name = directory.name();
  const pid_t child = ::fork();
  if (child < 0) return fail(base::errno_error("fork"));
  if (child == 0) {
    pipe.reader.reset();
    be_vm_process(std::move(directory), std::move(lock), task, std::move(pipe.writer));
  }
  pipe.writer.reset();
  const std::string report = read_report(pipe.reader);
  const auto crash = understand(report, log_path);
  if (!crash) {
    ::waitpid(child, nullptr, 0);  // its lock is gone when the caller goes on
    if (is_need_of_dynamic_program(crash.error())) TRY(become_dynamic_program());
    return fail(crash.error());
  }
  if (task.starts && !crash->empty()) say_crash(name, *crash);
  return {};
}

}  // namespace stasis::cli
