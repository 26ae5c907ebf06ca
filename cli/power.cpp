#include "cli/power.h"

#include <fmt/format.h>
#include <signal.h>

#include <thread>

#include "snapshot/state_root.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Status;
using snapshot::PowerState;
using snapshot::VmDirectory;

constexpr std::chrono::milliseconds kPowerLook{20};
constexpr std::chrono::milliseconds kDeathLimit{10'000};
constexpr std::chrono::milliseconds kRecordLimit{1'000};

Status wait_until_released(const VmDirectory& directory) {
  const auto deadline = std::chrono::steady_clock::now() + kDeathLimit;
  while (TRY(directory.holder())) {
    if (std::chrono::steady_clock::now() > deadline) {
      return fail(ErrorKind::kTimeout,
                  fmt::format("machine \"{}\": its process does not end", directory.name()));
    }
    std::this_thread::sleep_for(kPowerLook);
  }
  return {};
}

/// The last means, for a process that does not answer.
Status kill_process(const VmDirectory& directory) {
  const auto holder = TRY(directory.holder());
  if (!holder) return {};
  if (*holder == 0 || ::kill(*holder, SIGKILL) != 0) {
    return fail(base::errno_error(fmt::format("kill of process {}", *holder)));
  }
  return wait_until_released(directory);
}

}  // namespace

void wait_for_record(const VmDirectory& directory, bool runs) {
  const auto deadline = std::chrono::steady_clock::now() + kRecordLimit;
  while (std::chrono::steady_clock::now() < deadline) {
    const auto record = directory.run_record();
    if (!record || !*record) return;
    if (runs == ((*record)->end == snapshot::RunEnd::kNone)) return;
    std::this_thread::sleep_for(kPowerLook / 4);
  }
}

bool is_on(PowerState state) {
  return state != PowerState::kOff && state != PowerState::kSaved;
}

base::Error is_off_error(const std::string& name) {
  return {ErrorKind::kInvalidState,
          fmt::format("machine \"{0}\": is off; start it with: stasis start {0}", name)};
}

base::Result<VmSession> session_of_running(const std::string& name) {
  auto session = TRY(VmSession::find(name));
  if (session && is_on(session->info().state)) return std::move(*session);
  const VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  if (TRY(directory.present()).saved_from.empty()) return fail(is_off_error(name));
  return fail(ErrorKind::kInvalidState,
              fmt::format("machine \"{0}\": is saved; let it go on with: stasis start {0}, or give "
                          "its memory up with: stasis kill {0}",
                          name));
}

Status kill_machine(const std::string& name) {
  const VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  // what a saved machine has that can be switched off is its memory
  const bool is_saved = !TRY(directory.present()).saved_from.empty();
  auto session = VmSession::find(name);
  if (!session && session.error().kind() == ErrorKind::kTimeout) return kill_process(directory);
  if (!session) return fail(session.error());
  if (!*session && is_saved) session = TRY(VmSession::open(name));
  if (!*session || (!is_saved && !is_on((*session)->info().state))) return fail(is_off_error(name));
  Status off = (*session)->client().power_off();
  if (!off && off.error().kind() != ErrorKind::kIo) return off;
  if (!off) TRY(wait_until_released(directory));  // one in the foreground goes with its guest
  wait_for_record(directory, false);
  return {};
}

Status wait_until_off(const std::string& name, VmSession& session,
                      std::chrono::milliseconds limit) {
  const VmDirectory directory = TRY(VmDirectory::open(snapshot::state_root(), name));
  const auto deadline = std::chrono::steady_clock::now() + limit;
  for (;;) {
    const auto info = session.client().info();
    if (!info || !is_on(info->state)) {  // off, or its process went with it
      wait_for_record(directory, false);
      return {};
    }
    if (std::chrono::steady_clock::now() >= deadline) break;
    std::this_thread::sleep_for(kPowerLook);
  }
  return fail(ErrorKind::kTimeout,
              fmt::format("machine \"{0}\": still on after {1} s; pull the plug with: stasis kill "
                          "{0}, or give it longer by --timeout",
                          name, std::chrono::duration_cast<std::chrono::seconds>(limit).count()));
}

}  // namespace stasis::cli
