#include "cli/vm_session.h"

#include <fmt/format.h>

#include <chrono>
#include <thread>

#include "cli/daemon.h"
#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using snapshot::VmDirectory;

// A process that begins, or ends, holds the lock for moments in which it does not listen.
constexpr std::chrono::milliseconds kPatience{5'000};
constexpr std::chrono::milliseconds kPause{10};
constexpr std::chrono::milliseconds kAnswerPatience{3'000};

std::chrono::steady_clock::time_point deadline_from_now() {
  return std::chrono::steady_clock::now() + kPatience;
}

tl::unexpected<base::Error> no_answer(const VmDirectory& directory, pid_t pid,
                                      const base::Error& why) {
  return fail(ErrorKind::kTimeout,
              fmt::format("machine \"{0}\": its process {1} does not answer ({2}); end it with: "
                          "stasis kill {0}",
                          directory.name(), pid, why.message()));
}

/// Errors of connections, as opposed to answers.
bool may_pass(const base::Error& error) {
  return error.kind() == ErrorKind::kNotFound || error.kind() == ErrorKind::kIo;
}

}  // namespace

Result<VmSession> VmSession::connect(const VmDirectory& directory) {
  cimapi::Client::Options shortly;
  shortly.connect_timeout = shortly.answer_timeout = kAnswerPatience;
  const std::string path = directory.control_socket_path();
  auto info = TRY(TRY(cimapi::Client::connect(path, shortly)).info());
  return VmSession(TRY(cimapi::Client::connect(path)), std::move(info));
}

Result<std::optional<VmSession>> VmSession::find(const std::string& name) {
  const VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  const auto deadline = deadline_from_now();
  for (;;) {
    const auto holder = TRY(directory.holder());
    if (!holder) return std::nullopt;
    auto session = connect(directory);
    if (session) return std::optional(std::move(*session));
    const bool is_silent = session.error().kind() == ErrorKind::kTimeout;
    if (!is_silent && !may_pass(session.error())) return fail(session.error());
    if (is_silent || std::chrono::steady_clock::now() > deadline) {
      return no_answer(directory, *holder, session.error());
    }
    std::this_thread::sleep_for(kPause);
  }
}

Result<std::optional<VmSession>> VmSession::find_or_spawn(const std::string& name,
                                                          const VmTask& task) {
  const auto deadline = deadline_from_now();
  for (;;) {
    auto session = TRY(find(name));
    if (session) return session;
    VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
    auto lock = directory.lock();
    if (lock) {
      TRY(spawn_vm_process(std::move(directory), std::move(*lock), task));
      return std::nullopt;
    }
    const bool is_over = std::chrono::steady_clock::now() > deadline;
    if (is_over || lock.error().kind() != ErrorKind::kBusy) return fail(lock.error());
  }
}

Result<VmSession> VmSession::open(const std::string& name) {
  VmTask idle;
  idle.starts = false;
  auto session = TRY(find_or_spawn(name, idle));
  if (!session) session = TRY(find(name));
  if (session) return std::move(*session);
  return fail(ErrorKind::kInternal,
              fmt::format("machine \"{}\": its process ended at once; see process.log", name));
}

}  // namespace stasis::cli
