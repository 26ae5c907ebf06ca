#include "snapshot/snapshot_creation.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <utility>

#include "snapshot/names.h"
#include "snapshot/state_file.h"
#include "snapshot/uuid.h"

namespace stasis::snapshot {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;

/// "web1 (2026-05-01 12:30:05)", after Hyper-V's way of naming.
std::string dated_name(const std::string& machine) {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  ::localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return fmt::format("{} ({})", machine, text);
}

/// A machine that cannot be saved now, in words for whoever asked for a snapshot.
base::Status check_running(vmm::Machine& machine) {
  if (!machine.ending()) return {};
  return base::fail(base::ErrorKind::kInvalidState,
                    "the guest is rebooting or has just ended; try again in a moment");
}

base::Status sync_file(const std::string& path) {
  const base::Fd file = TRY(base::open_file(path, O_RDONLY));
  if (::fsync(file.get()) != 0) return base::fail(base::errno_error(path));
  return {};
}

}  // namespace

base::Result<SnapshotInfo> SnapshotCreation::run() {
  give_way_to_guest();
  manifest_.info.id = TRY(make_uuid());
  PendingSnapshot pending = TRY(wiring_.store.begin(manifest_.info.id));
  TRY(prepare());
  {
    auto session = wiring_.runner.session();
    TRY(take(session, pending));
  }
  TRY(finish(pending));
  return manifest_.info;
}

/// From the beginning: what comes before the pause can take milliseconds, too.
void SnapshotCreation::give_way_to_guest() {
  const auto session = wiring_.runner.session();
  if (session.machine() != nullptr) session.machine()->keep_caller_off_vcpus();
}

base::Status SnapshotCreation::prepare() {
  auto& info = manifest_.info;
  info.name = options_.name.empty() ? dated_name(wiring_.config.machine.name) : options_.name;
  TRY(check_snapshot_name(info.name));
  info.notes = options_.notes;
  info.kind = options_.kind;
  info.capture.engine = "none";
  before_ = wiring_.book.now();
  info.parent = before_.current;
  manifest_.vm_id = wiring_.config.id;
  manifest_.config_json = TRY(machine_text(wiring_.config.machine));
  frozen_ = TRY(present_chains(wiring_.directory, wiring_.config.machine, before_));
  next_ = TRY(with_overlays(wiring_.directory, frozen_));
  return {};
}

base::Status SnapshotCreation::take(MachineRunner::Session& session,
                                    const PendingSnapshot& pending) {
  if (session.machine() == nullptr) return take_off(pending);
  TRY(check_running(*session.machine()));
  if (wants_memory()) {
    capture_ = TRY(prepare_ram_capture(
        pending.folder(), wiring_.config.machine.memory_bytes,
        {options_.engine, options_.compression_level, session.machine()->vcpu_watches()}));
    manifest_.info.has_memory = true;
    manifest_.info.capture.engine = capture_->engine();
  }
  return take_running(session, *session.machine());
}

/// The overlays become what the machine writes to, and the snapshot what it descends from, should
/// it come to be.
base::Status SnapshotCreation::name_in_present() {
  Present present = before_;
  present.disks = to_present(wiring_.directory, next_);
  present.previous = present.current;
  present.current = manifest_.info.id;
  return wiring_.book.write(present);
}

base::Result<std::vector<devices::PreparedOverlay>> SnapshotCreation::prepare_overlays(
    vmm::Machine& machine) {
  std::vector<devices::PreparedOverlay> overlays;
  const auto& disks = machine.disks();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    if (next_[i].read_only) continue;
    overlays.push_back(TRY(disks[i].disk->prepare_overlay(next_[i].layers.back().path)));
  }
  return overlays;
}

base::Status SnapshotCreation::take_running(MachineRunner::Session& session,
                                            vmm::Machine& machine) {
  auto overlays = TRY(prepare_overlays(machine));
  auto frozen = name_in_present();
  if (frozen) frozen = freeze(session, machine, overlays);
  if (frozen) return seal(machine);
  take_back(overlays);
  return frozen;
}

/// The instant did not come: the old files are written to on.
void SnapshotCreation::take_back(std::vector<devices::PreparedOverlay>& overlays) {
  wiring_.book.hold(before_);
  if (wiring_.book.settle()) return;  // nobody names the overlays, which remove themselves
  for (auto& overlay : overlays) overlay.keep();
}

/// The instant. Nothing in here writes to a disk, unless the engine is stop-and-copy.
base::Status SnapshotCreation::freeze(MachineRunner::Session& session, vmm::Machine& machine,
                                      std::vector<devices::PreparedOverlay>& overlays) {
  if (capture_) {
    machine.keep_caller_off_vcpus();
    rescue_ = wiring_.runner.with_priority_of_process(
        [&] { return std::make_unique<base::ThreadRescue>(machine.vcpu_watches()); });
    capture_->before_pause();
  }
  const auto asked = Clock::now();
  Clock::duration pause{};
  {
    const auto rest = TRY(session.rest());
    const auto begin = std::max(asked, rest.paused().begin());  // a user's pause is not this one
    if (capture_) state_ = TRY(machine.save(rest.paused()));
    manifest_.info.created_unix_us = unix_us_now();
    if (capture_) TRY(capture_->capture(machine.ram(rest.paused()).regions(), observer_));
    auto overlay = overlays.begin();
    const auto& disks = machine.disks();
    for (std::size_t i = 0; i < disks.size(); ++i) {
      if (!next_[i].read_only) disks[i].disk->switch_to(std::move(*overlay++));
    }
    // Not later: a vCPU that is woken on this thread's CPU runs before it.
    pause = Clock::now() - begin;
  }
  if (capture_) {
    machine.work_beside_caller();
    capture_->guest_runs();
  }
  manifest_.info.capture.pause_us =
      static_cast<std::uint64_t>(duration_cast<microseconds>(pause).count());
  return {};
}

base::Status SnapshotCreation::seal(vmm::Machine& machine) {
  const auto& disks = machine.disks();
  for (std::size_t i = 0; i < disks.size(); ++i) {
    if (!next_[i].read_only) TRY(disks[i].disk->seal_frozen());
  }
  return {};
}

/// A machine that is off: its disks' files rest, and of memory there is at most what a snapshot
/// holds that was applied.
base::Status SnapshotCreation::take_off(const PendingSnapshot& pending) {
  for (std::size_t i = 0; i < next_.size(); ++i) {
    if (next_[i].read_only) continue;
    TRY(sync_file(frozen_[i].layers.back().path));
    TRY(devices::create_overlay(next_[i].layers.back().path, frozen_[i].layers));
  }
  TRY(name_in_present());
  manifest_.info.created_unix_us = unix_us_now();
  if (wants_memory() && !before_.saved_from.empty()) {
    return link_memory(pending, before_.saved_from);
  }
  return {};
}

/// The memory of a saved machine is that of the snapshot it was applied from, whose files are
/// immutable: they get a second name.
base::Status SnapshotCreation::link_memory(const PendingSnapshot& pending,
                                           const std::string& from) {
  const OpenSnapshot source = TRY(wiring_.store.open_snapshot(from));
  for (const auto& file : source.manifest.files) {
    if (::linkat(source.folder.get(), file.name.c_str(), pending.folder().get(), file.name.c_str(),
                 0) != 0) {
      return base::fail(base::errno_error(file.name));
    }
  }
  manifest_.files = source.manifest.files;
  manifest_.info.has_memory = true;
  manifest_.info.capture.engine = "link";
  return {};
}

base::Status SnapshotCreation::write_state(const PendingSnapshot& pending) {
  manifest_.files.push_back(
      TRY(pending.write_file(kStateFile, encode_state_file(vmm::encode_machine_state(state_)))));
  return {};
}

void SnapshotCreation::set_total() {
  const auto total = duration_cast<microseconds>(Clock::now() - started_);
  manifest_.info.capture.total_us = static_cast<std::uint64_t>(total.count());
}

base::Status SnapshotCreation::finish(PendingSnapshot& pending) {
  auto& report = manifest_.info.capture;
  if (capture_) {
    TRY(write_state(pending));
    auto written = TRY(capture_->finish(observer_));
    report.captured_bytes = written.captured_bytes;
    report.stored_bytes = written.stored_bytes + manifest_.files.back().size_bytes;
    for (auto& file : written.files) manifest_.files.push_back(std::move(file));
  }
  if (observer_.is_cancelled()) {
    return base::fail(base::ErrorKind::kCancelled, "the snapshot was cancelled");
  }
  observer_.committing();
  manifest_.disks = TRY(record_chains(wiring_.directory, frozen_, wiring_.uuids));
  set_total();  // what the manifest can know of it
  TRY(pending.commit(manifest_));
  wiring_.store.remember(manifest_.info);
  set_total();
  note_commit();
  return {};
}

/// There is nothing to do, unless another change of the present came in between.
void SnapshotCreation::note_commit() {
  Present present = wiring_.book.now();
  if (present.current == manifest_.info.id) return;
  present.current = manifest_.info.id;
  wiring_.book.hold(present);
  wiring_.book.settle();
}

}  // namespace stasis::snapshot
