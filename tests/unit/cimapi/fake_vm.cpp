#include "tests/unit/cimapi/fake_vm.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace stasis::cimapi::testing {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using base::Status;
using snapshot::PowerState;
using snapshot::SnapshotInfo;
using snapshot::SnapshotKind;
using snapshot::WorkObserver;

constexpr std::uint64_t kBytes = 1000;
constexpr std::uint64_t kCreated = 1'700'000'000'000'000;  // 2023-11-14 22:13:20 UTC

bool is_in_memory(PowerState state) {
  return state == PowerState::kRunning || state == PowerState::kPaused ||
         state == PowerState::kSaved;
}

}  // namespace

FakeVm::FakeVm(PowerState state) {
  info_.id = kId;
  info_.state = state;
  info_.config.name = "web1";
  info_.config.kernel = "/boot/vmlinuz";
  info_.config.cmdline = "console=ttyS0 \"a<b\"";
  info_.config.cpus = 2;
  info_.config.disks.push_back({});
  info_.config.disks.back().path = "disk.img";
  info_.config.disks.back().id = "disk0";
  info_.config.disks.back().format = devices::ImageFormat::kQcow2;
  info_.config.disks.back().backing = {{"base image.raw", devices::ImageFormat::kRaw},
                                       {"middle.qcow2", devices::ImageFormat::kQcow2}};
  info_.config.net = vmm::UserNetConfig{{{false, 2222, 22}}};
  info_.config.console = {vmm::ConsoleConfig::Kind::kFile, vmm::ConsoleConfig::Port::kVirtio,
                          "console.txt"};
  info_.created_unix_us = kCreated;
  info_.started_unix_us = kCreated + 5;
}

snapshot::VmInfo FakeVm::info() const {
  const std::lock_guard lock(mutex_);
  return info_;
}

std::vector<SnapshotInfo> FakeVm::snapshots() const {
  const std::lock_guard lock(mutex_);
  return snapshots_;
}

Status FakeVm::take_failure() {
  const std::lock_guard lock(mutex_);
  if (!failure_) return {};
  const base::Error error = *failure_;
  failure_.reset();
  return fail(error);
}

Status FakeVm::work(WorkObserver& observer) {
  observer.progressed(kBytes / 2, kBytes);
  bool is_early = false;
  {
    std::unique_lock lock(mutex_);
    is_early = commits_early_;
    lock.unlock();
    if (is_early) observer.committing();
    lock.lock();
    is_held_ = is_on_hold_;
    changed_.notify_all();
    while (is_on_hold_ && (is_early || !observer.is_cancelled())) {
      changed_.wait_for(lock, std::chrono::milliseconds(1));
    }
    is_held_ = false;
  }
  TRY(take_failure());
  if (!is_early && observer.is_cancelled()) {
    return fail(ErrorKind::kCancelled, "cancelled; nothing is left of it");
  }
  observer.committing();
  observer.progressed(kBytes, kBytes);
  return {};
}

Result<SnapshotInfo> FakeVm::create_snapshot(const snapshot::CreateOptions& options,
                                             WorkObserver& observer) {
  {
    const std::lock_guard lock(mutex_);
    seen_.calls.emplace_back("create");
    seen_.create = options;
  }
  TRY(work(observer));
  const bool has_memory = options.kind == SnapshotKind::kFull && is_in_memory(state());
  const std::string id =
      add(options.name.empty() ? "web1 (now)" : options.name, info().current, has_memory);
  const std::lock_guard lock(mutex_);
  SnapshotInfo& made = snapshots_.back();
  made.kind = options.kind;
  made.notes = options.notes;
  made.capture = {"fork", 300, 40'000, 5000, 4000};
  return made;
}

std::string FakeVm::add(const std::string& name, const std::string& parent, bool has_memory) {
  const std::lock_guard lock(mutex_);
  SnapshotInfo info;
  info.id = fmt::format("AAAAAAAA-0000-4000-8000-{:012}", ++made_);
  info.name = name;
  info.parent = parent;
  info.created_unix_us = kCreated + made_;
  info.has_memory = has_memory;
  snapshots_.push_back(info);
  info_.current = info.id;
  return info.id;
}

std::size_t FakeVm::index_of(const std::string& id) const {
  const auto found = std::find_if(snapshots_.begin(), snapshots_.end(),
                                  [&](const SnapshotInfo& info) { return info.id == id; });
  return static_cast<std::size_t>(found - snapshots_.begin());
}

Status FakeVm::apply_snapshot(const std::string& id, const snapshot::ApplyOptions& options,
                              WorkObserver& observer) {
  {
    const std::lock_guard lock(mutex_);
    seen_.calls.emplace_back("apply");
    seen_.apply = options;
  }
  TRY(work(observer));
  const std::lock_guard lock(mutex_);
  const std::size_t at = index_of(id);
  if (at == snapshots_.size()) return fail(ErrorKind::kNotFound, "no such snapshot");
  info_.current = info_.last_applied = id;
  const bool has_memory = snapshots_[at].has_memory;
  if (info_.state == PowerState::kRunning || info_.state == PowerState::kPaused) {
    if (!has_memory) info_.state = PowerState::kOff;
  } else {
    info_.state = has_memory ? PowerState::kSaved : PowerState::kOff;
  }
  return {};
}

Status FakeVm::destroy_snapshot(const std::string& id) {
  TRY(take_failure());
  const std::lock_guard lock(mutex_);
  const std::size_t at = index_of(id);
  if (at == snapshots_.size()) return fail(ErrorKind::kNotFound, "no such snapshot");
  const std::string parent = snapshots_[at].parent;
  snapshots_.erase(snapshots_.begin() + static_cast<std::ptrdiff_t>(at));
  for (SnapshotInfo& info : snapshots_) {
    if (info.parent == id) info.parent = parent;
  }
  if (info_.current == id) info_.current = parent;
  if (info_.last_applied == id) info_.last_applied.clear();
  return {};
}

Status FakeVm::destroy_snapshot_tree(const std::string& id) {
  TRY(take_failure());
  std::vector<std::string> children;
  for (const SnapshotInfo& info : snapshots()) {
    if (info.parent == id) children.push_back(info.id);
  }
  for (const std::string& child : children) TRY(destroy_snapshot_tree(child));
  return destroy_snapshot(id);
}

Status FakeVm::verify_snapshot(const std::string& /*id*/, WorkObserver& observer) {
  return work(observer);
}

Status FakeVm::rename_snapshot(const std::string& id, const std::string& name,
                               const std::string& notes) {
  TRY(take_failure());
  if (name.empty()) return fail(ErrorKind::kInvalidArgument, "snapshot name \"\": is blank");
  const std::lock_guard lock(mutex_);
  const std::size_t at = index_of(id);
  if (at == snapshots_.size()) return fail(ErrorKind::kNotFound, "no such snapshot");
  snapshots_[at].name = name;
  snapshots_[at].notes = notes;
  return {};
}

Result<std::string> FakeVm::selftest() {
  TRY(take_failure());
  return "12 sections are equal";
}

Status FakeVm::change(const char* call, PowerState from, PowerState to) {
  TRY(take_failure());
  const std::lock_guard lock(mutex_);
  seen_.calls.emplace_back(call);
  if (info_.state != from) return fail(ErrorKind::kInvalidState, "machine is in another state");
  info_.state = to;
  return {};
}

Status FakeVm::start() {
  if (state() == PowerState::kSaved)
    return change("start", PowerState::kSaved, PowerState::kRunning);
  return change("start", PowerState::kOff, PowerState::kRunning);
}
Status FakeVm::pause() {
  return change("pause", PowerState::kRunning, PowerState::kPaused);
}
Status FakeVm::resume() {
  return change("resume", PowerState::kPaused, PowerState::kRunning);
}
Status FakeVm::shut_down() {
  return change("shut_down", PowerState::kRunning, PowerState::kOff);
}
Status FakeVm::power_off() {
  return change("power_off", PowerState::kRunning, PowerState::kOff);
}
Status FakeVm::reset() {
  return change("reset", PowerState::kRunning, PowerState::kRunning);
}

void FakeVm::set_state(PowerState state) {
  const std::lock_guard lock(mutex_);
  info_.state = state;
}

void FakeVm::fail_next(ErrorKind kind, std::string message) {
  const std::lock_guard lock(mutex_);
  failure_ = base::Error(kind, std::move(message));
}

void FakeVm::hold() {
  const std::lock_guard lock(mutex_);
  is_on_hold_ = true;
}

void FakeVm::let_go() {
  const std::lock_guard lock(mutex_);
  is_on_hold_ = false;
  changed_.notify_all();
}

void FakeVm::await_held() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return is_held_; });
}

FakeVm::Seen FakeVm::seen() const {
  const std::lock_guard lock(mutex_);
  return seen_;
}

}  // namespace stasis::cimapi::testing
