#include "cli/daemon.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <optional>
#include <utility>

#include "cli/dynamic_program.h"
#include "cli/say.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::Error;
using base::ErrorKind;
using base::fail;
using base::Fd;
using base::Result;
using base::Status;

constexpr char kReady = '+';
constexpr char kNotMine = '?';  // instead of a report: the parent has to look for itself
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

Result<Outcome> run_detached(Result<HeadStart> head_start, snapshot::VmDirectory directory,
                             snapshot::VmLock lock, const VmTask& task, Fd& writer) {
  TRY(leave_surroundings(log_path_of(directory)));
  return run_vm_process(TRY(std::move(head_start)), std::move(directory), std::move(lock), task,
                        [&](const std::string& crash) { write_report(writer, kReady + crash); });
}

[[noreturn]] void be_vm_process(Result<HeadStart> head_start, snapshot::VmDirectory directory,
                                snapshot::VmLock lock, const VmTask& task, Fd writer) {
  const std::string name = directory.name();
  const auto outcome =
      run_detached(std::move(head_start), std::move(directory), std::move(lock), task, writer);
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
Result<std::string> understand(const std::string& report, const std::string& name) {
  if (report.empty()) {
    const auto directory = snapshot::VmDirectory::open(snapshot::state_root(), name);
    return fail(ErrorKind::kInternal, fmt::format("its process died before it was ready; see {}",
                                                  directory ? log_path_of(*directory) : name));
  }
  if (report[0] == kReady) return report.substr(1);
  return fail(static_cast<ErrorKind>(report[0] - 'A'), report.substr(1));
}

struct Child {
  pid_t id;
  std::string report;
};

/// A child that does `be` with the writing end of a pipe, and never returns from it; and what it
/// wrote there.
template <typename Be>
Result<Child> fork_and_listen(Be be) {
  Pipe pipe = TRY(make_pipe());
  const pid_t child = ::fork();
  if (child < 0) return fail(base::errno_error("fork"));
  if (child == 0) {
    pipe.reader.reset();
    be(std::move(pipe.writer));
  }
  pipe.writer.reset();
  return Child{child, read_report(pipe.reader)};
}

/// Says what the child's report asks for.
Status take_report(const Child& child, const std::string& name, const VmTask& task) {
  const auto crash = understand(child.report, name);
  if (!crash) {
    ::waitpid(child.id, nullptr, 0);  // its lock is gone when the caller goes on
    if (is_need_of_dynamic_program(crash.error())) TRY(become_dynamic_program());
    return fail(crash.error());
  }
  if (task.starts && !crash->empty()) say_crash(name, *crash);
  return {};
}

/// The machine, and the right to be its process; nothing when the least thing is in the way.
std::optional<std::pair<snapshot::VmDirectory, snapshot::VmLock>> take_machine(
    const std::string& name) {
  auto directory = snapshot::VmDirectory::open(snapshot::state_root(), name);
  if (!directory) return std::nullopt;
  auto lock = directory->lock();
  if (!lock) return std::nullopt;
  return std::pair(std::move(*directory), std::move(*lock));
}

[[noreturn]] void be_vm_process_if_free(const std::string& name, const VmTask& task, Fd writer) {
  auto head_start = HeadStart::begin(task);
  auto machine = take_machine(name);
  if (!machine) {
    write_report(writer, std::string(1, kNotMine));
    ::_exit(0);
  }
  be_vm_process(std::move(head_start), std::move(machine->first), std::move(machine->second), task,
                std::move(writer));
}

}  // namespace

Status spawn_vm_process(snapshot::VmDirectory directory, snapshot::VmLock lock,
                        const VmTask& task) {
  const std::string name = directory.name();
  const Child child = TRY(fork_and_listen([&](Fd writer) {
    be_vm_process(HeadStart::begin(task), std::move(directory), std::move(lock), task,
                  std::move(writer));
  }));
  return take_report(child, name, task);
}

Result<bool> try_spawn_vm_process(const std::string& name, const VmTask& task) {
  const Child child = TRY(
      fork_and_listen([&](Fd writer) { be_vm_process_if_free(name, task, std::move(writer)); }));
  if (child.report == std::string(1, kNotMine)) {
    ::waitpid(child.id, nullptr, 0);
    return false;
  }
  TRY(take_report(child, name, task));
  return true;
}

}  // namespace stasis::cli
