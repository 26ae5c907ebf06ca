#include "snapshot/virtual_machine.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <utility>

#include "base/log.h"
#include "snapshot/image_ram_source.h"
#include "snapshot/names.h"
#include "snapshot/snapshot_creation.h"
#include "snapshot/snapshot_files.h"
#include "snapshot/state_file.h"
#include "vmm/machine_state.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using vmm::Ending;
using Purpose = vmm::GroundAhead::Purpose;

vmm::ClockPolicy clock_of(ClockPolicy policy) {
  return policy == ClockPolicy::kFreeze ? vmm::ClockPolicy::kFreeze : vmm::ClockPolicy::kCatchUp;
}

base::Result<vmm::MachineState> load_state(const OpenSnapshot& snapshot) {
  const FileRecord* file = snapshot.manifest.file(kStateFile);
  if (file == nullptr) {
    return base::fail(ErrorKind::kCorrupt,
                      fmt::format("snapshot {}: has no {}", snapshot.manifest.info.id, kStateFile));
  }
  const auto bytes = TRY(read_recorded_file(snapshot.folder, *file, kMaxStateBytes));
  const std::span<const std::uint8_t> text(reinterpret_cast<const std::uint8_t*>(bytes.data()),
                                           bytes.size());
  return vmm::decode_machine_state(TRY(decode_state_file(text)));
}

base::Error off_error(std::string_view what) {
  return {ErrorKind::kInvalidState, fmt::format("the machine is off: nothing to {}", what)};
}

/// Overlays for a restored present: on top of a snapshot's layers, which stay as they are.
base::Status create_overlays(const std::vector<DiskChain>& chains) {
  for (const auto& chain : chains) {
    if (chain.read_only) continue;
    auto backing = chain.layers;
    backing.pop_back();
    TRY(devices::create_overlay(chain.layers.back().path, backing));
  }
  return {};
}

bool has_writable(const std::vector<DiskChain>& chains) {
  return std::any_of(chains.begin(), chains.end(),
                     [](const DiskChain& chain) { return !chain.read_only; });
}

void remove_tops(const std::vector<DiskChain>& chains) {
  for (const auto& chain : chains) {
    if (!chain.read_only) ::unlink(chain.layers.back().path.c_str());
  }
}

}  // namespace

base::Result<std::unique_ptr<VirtualMachine>> VirtualMachine::open(VmDirectory directory,
                                                                   VmLock lock, Io io) {
  Beforehand beforehand{TRY(directory.config()), {}};
  return open(std::move(directory), std::move(lock), io, std::move(beforehand));
}

base::Result<std::unique_ptr<VirtualMachine>> VirtualMachine::open(VmDirectory directory,
                                                                   VmLock lock, Io io,
                                                                   Beforehand beforehand) {
  SnapshotStore store = TRY(SnapshotStore::open(directory.snapshots_path()));
  base::Fd changed = TRY(base::make_eventfd());
  std::unique_ptr<VirtualMachine> machine(new VirtualMachine(std::move(directory), std::move(lock),
                                                             io, std::move(beforehand.config),
                                                             std::move(store), std::move(changed)));
  machine->ahead_.with([&](vmm::GroundAhead& kept) { kept = std::move(beforehand.ahead); });
  TRY(machine->begin());
  return machine;
}

base::Status VirtualMachine::begin() {
  book_ = TRY(PresentBook::open(directory_));
  MachineRunner::Wiring wiring{io_.input, nullptr, [this](const Ending& ending) { ended(ending); }};
  if (config_.restart_on_reboot) {
    wiring.reboot = [this](const vmm::SurvivingState& survivors) { return boot(survivors); };
  }
  runner_ = TRY(MachineRunner::create(std::move(wiring)));
  return {};
}

VirtualMachine::~VirtualMachine() {
  if (runner_) runner_->session().end({Ending::Kind::kStopped, "switched off"});
}

void VirtualMachine::ended(const Ending& ending) {
  facts_.with([&](Facts& facts) {
    facts.ending = ending;
    facts.started_unix_us = 0;
  });
  base::signal_eventfd(changed_);
}

std::optional<Ending> VirtualMachine::last_ending() const {
  return facts_.with([](const Facts& facts) { return facts.ending; });
}

/// The one that begins with a snapshot; its disks are written to by way of new overlays.
Present VirtualMachine::present_from(const std::string& snapshot,
                                     const std::vector<DiskChain>& chains) const {
  Present present;
  present.disks = to_present(directory_, chains);
  present.current = present.last_applied = snapshot;
  return present;
}

base::Result<std::vector<SnapshotInfo>> VirtualMachine::infos() const {
  auto list = TRY(store_.infos());
  for (const auto& broken : list.broken) {
    base::log::warn("snapshot {}: {}", broken.id, broken.error.message());
  }
  return std::move(list.snapshots);
}

base::Status VirtualMachine::remove_unused_layers_of_present() {
  if (!book_->settle()) return {};  // the file may name others
  const auto list = TRY(store_.list());
  if (!list.broken.empty()) return {};  // who knows which layers those need
  return remove_unused_layers(directory_, present(), list.snapshots);
}

/// Removes the overlays of a present that did not come to be, unless the file may name them.
void VirtualMachine::give_up(const std::vector<DiskChain>& chains) {
  if (book_->settle()) remove_tops(chains);
}

base::Result<vmm::MachineConfig> VirtualMachine::present_config() const {
  return with_chains(config_.machine, TRY(present_chains(directory_, config_.machine, present())));
}

VmInfo VirtualMachine::info() const {
  VmInfo info;
  info.id = config_.id;
  info.config = config_.machine;
  info.created_unix_us = config_.created_unix_us;
  const Present now = present();
  info.current = now.current;
  info.last_applied = now.last_applied;
  info.state = runner_->state();
  if (info.state == PowerState::kOff && !now.saved_from.empty()) info.state = PowerState::kSaved;
  facts_.with([&](const Facts& facts) {
    info.started_unix_us = facts.started_unix_us;
    if (facts.ending) info.last_ending = facts.ending->detail;
  });
  return info;
}

std::vector<SnapshotInfo> VirtualMachine::snapshots() const {
  auto list = infos();
  if (list) return std::move(*list);
  base::log::error("{}: {}", directory_.name(), list.error().message());
  return {};
}

base::Result<SnapshotInfo> VirtualMachine::create_snapshot(const CreateOptions& options,
                                                           WorkObserver& observer) {
  if (!options.name.empty()) TRY(check_snapshot_name(options.name));
  const auto work =
      TRY(work_.take(fmt::format("creating snapshot \"{}\"", options.name), observer));
  return SnapshotCreation({directory_, config_, store_, *runner_, *book_, uuids_}, options, *work)
      .run();
}

// --- starting and stopping -----------------------------------------------------------------------

base::Result<std::unique_ptr<vmm::Machine>> VirtualMachine::boot(
    const std::optional<vmm::SurvivingState>& survivors) const {
  return create_machine(TRY(present_config()), survivors);
}

base::Result<std::unique_ptr<vmm::Machine>> VirtualMachine::create_machine(
    const vmm::MachineConfig& config, const std::optional<vmm::SurvivingState>& survivors) const {
  return runner_->with_priority_of_process([&] {
    return vmm::Machine::create(config, {io_.console}, take_ahead(Purpose::kBoot), survivors);
  });
}

/// The one that was begun for the first start, whatever for, else a new one.
vmm::GroundAhead VirtualMachine::take_ahead(Purpose purpose) const {
  auto ahead =
      ahead_.with([](vmm::GroundAhead& kept) { return std::exchange(kept, vmm::GroundAhead()); });
  return ahead.has_begun() ? std::move(ahead) : vmm::GroundAhead(purpose);
}

base::Result<std::unique_ptr<vmm::Machine>> VirtualMachine::restore(
    const OpenSnapshot& snapshot, const std::vector<DiskChain>& chains,
    const ApplyOptions& options) const {
  return runner_->with_priority_of_process([&] { return restore_here(snapshot, chains, options); });
}

base::Result<std::unique_ptr<vmm::Machine>> VirtualMachine::restore_here(
    const OpenSnapshot& snapshot, const std::vector<DiskChain>& chains,
    const ApplyOptions& options) const {
  vmm::GroundAhead ahead = take_ahead(Purpose::kRestore);
  TRY(ahead.give_memory(config_.machine.memory_bytes));
  // Meanwhile the memory gets its contents; whoever returns early waits for the ground.
  ImageRamSource source(TRY(RamImage::open(snapshot.folder, snapshot.manifest)));
  TRY(source.fill(ahead.regions()));
  const vmm::MachineState state = TRY(load_state(snapshot));
  auto laid = TRY(std::move(ahead).get());
  return vmm::Machine::restore(with_chains(config_.machine, chains), {io_.console}, std::move(laid),
                               {state, clock_of(options.clock), options.new_generation});
}

void VirtualMachine::launch(MachineRunner::Session& session,
                            std::unique_ptr<vmm::Machine> machine) {
  facts_.with([](Facts& facts) {
    facts.started_unix_us = unix_us_now();
    facts.ending.reset();
  });
  session.launch(std::move(machine));
  base::signal_eventfd(changed_);
}

base::Status VirtualMachine::start() {
  auto session = runner_->session();
  return start_in(session);
}

base::Status VirtualMachine::start_in(MachineRunner::Session& session) {
  if (session.machine() != nullptr) {
    if (runner_->state() == PowerState::kPaused) return resume_in(session);
    return base::fail(ErrorKind::kInvalidState, "the machine runs already");
  }
  const Present now = present();
  if (!now.saved_from.empty()) return resume_saved(session, now);
  launch(session, TRY(boot()));
  return {};
}

/// From here on disks and the snapshot's memory go separate ways: the next start must boot.
base::Status VirtualMachine::resume_saved(MachineRunner::Session& session, const Present& now) {
  const OpenSnapshot snapshot = TRY(store_.open_snapshot(now.saved_from));
  const auto chains = TRY(present_chains(directory_, config_.machine, now));
  const auto options = facts_.with([](const Facts& facts) { return facts.resume_options; });
  auto machine = TRY(restore(snapshot, chains, options));
  Present next = now;
  next.saved_from.clear();
  if (auto written = book_->write(next); !written) {
    book_->settle();
    return written;
  }
  launch(session, std::move(machine));
  return {};
}

base::Status VirtualMachine::start_from(const std::string& id, const ApplyOptions& options) {
  Unobserved nobody;
  const auto work = TRY(work_.take(fmt::format("starting from snapshot {}", id), nobody));
  auto session = runner_->session();
  if (session.machine() != nullptr) {
    return base::fail(ErrorKind::kInvalidState,
                      "the machine runs already; apply the snapshot instead, or stop it first");
  }
  const OpenSnapshot snapshot = TRY(open_own(id));
  const auto chains =
      TRY(with_overlays(directory_, TRY(proven_chains(directory_, snapshot.manifest.disks))));
  auto started = start_on(session, snapshot, chains, options);
  if (!started) give_up(chains);
  return started;
}

base::Status VirtualMachine::start_on(MachineRunner::Session& session, const OpenSnapshot& snapshot,
                                      const std::vector<DiskChain>& chains,
                                      const ApplyOptions& options) {
  const Present next = present_from(snapshot.manifest.info.id, chains);
  if (!has_writable(chains)) {
    // Nothing of the guest's outlives this process: what its present is may be noted later.
    launch(session, TRY(make_from(snapshot, chains, options)));
    book_->hold(next);
    book_->settle();
    return {};
  }
  TRY(create_overlays(chains));
  // The present is prepared while the machine is made, and true in one step when it is there.
  auto prepared = std::async(std::launch::async, [&] { return book_->prepare(next); });
  auto machine = make_from(snapshot, chains, options);
  TRY(prepared.get());
  if (!machine) return base::fail(machine.error());
  TRY(book_->write_prepared(next));
  launch(session, std::move(*machine));
  return {};
}

/// The machine as the snapshot has it, at rest: with its memory, or about to boot.
base::Result<std::unique_ptr<vmm::Machine>> VirtualMachine::make_from(
    const OpenSnapshot& snapshot, const std::vector<DiskChain>& chains,
    const ApplyOptions& options) const {
  if (snapshot.manifest.info.has_memory) return restore(snapshot, chains, options);
  return create_machine(with_chains(config_.machine, chains), std::nullopt);
}

/// kCorrupt: it belongs to another machine.
base::Result<OpenSnapshot> VirtualMachine::open_own(const std::string& id) const {
  OpenSnapshot snapshot = TRY(store_.open_snapshot(id));
  if (snapshot.manifest.vm_id == config_.id) return snapshot;
  return base::fail(ErrorKind::kCorrupt,
                    fmt::format("snapshot {}: belongs to another machine", id));
}

base::Status VirtualMachine::pause() {
  auto session = runner_->session();
  if (session.machine() == nullptr) return base::fail(off_error("pause"));
  TRY(session.pause());
  base::signal_eventfd(changed_);
  return {};
}

base::Status VirtualMachine::resume() {
  auto session = runner_->session();
  return resume_in(session);
}

base::Status VirtualMachine::resume_in(MachineRunner::Session& session) {
  if (session.machine() == nullptr) return base::fail(off_error("resume"));
  session.resume();
  base::signal_eventfd(changed_);
  return {};
}

base::Status VirtualMachine::shut_down() {
  auto session = runner_->session();
  if (session.machine() == nullptr) return base::fail(off_error("shut down"));
  if (runner_->state() == PowerState::kPaused) {
    return base::fail(ErrorKind::kInvalidState,
                      "the machine is paused and would not see its power button; resume it first");
  }
  session.machine()->press_power_button();
  return {};
}

base::Status VirtualMachine::power_off() {
  auto session = runner_->session();
  if (session.machine() == nullptr) {
    Present next = present();
    if (next.saved_from.empty()) return {};
    next.saved_from.clear();  // a saved machine's memory is what there is to switch off
    return book_->write(next);
  }
  session.end({Ending::Kind::kStopped, "switched off"});
  return {};
}

base::Status VirtualMachine::reset() {
  auto session = runner_->session();
  if (session.machine() == nullptr) return base::fail(off_error("reset"));
  session.end({Ending::Kind::kReset, "reset"});
  return start_in(session);
}

base::Result<std::string> VirtualMachine::selftest() {
  auto session = runner_->session();
  const auto rest = TRY(session.rest());
  return session.machine()->selftest(rest.paused());
}

// --- snapshots that are there --------------------------------------------------------------------

base::Status VirtualMachine::apply_snapshot(const std::string& id, const ApplyOptions& options,
                                            WorkObserver& observer) {
  const auto work = TRY(work_.take(fmt::format("applying snapshot {}", id), observer));
  const OpenSnapshot snapshot = TRY(open_own(id));
  auto chains = TRY(proven_chains(directory_, snapshot.manifest.disks));
  chains = TRY(with_overlays(directory_, std::move(chains)));
  auto session = runner_->session();
  auto created = create_overlays(chains);
  Present next = present_from(id, chains);
  if (created) {
    created = session.machine() == nullptr
                  ? apply_off(snapshot, std::move(next), chains, options)
                  : apply_running(session, snapshot, next, chains, options);
  }
  if (!created) {
    give_up(chains);
    return created;
  }
  base::signal_eventfd(changed_);
  return remove_unused_layers_of_present();
}

base::Status VirtualMachine::apply_off(const OpenSnapshot& snapshot, Present next,
                                       const std::vector<DiskChain>& chains,
                                       const ApplyOptions& options) {
  if (snapshot.manifest.info.has_memory) {
    // Whether it can start is said now, not when the old present is gone.
    TRY(restore(snapshot, chains, options));
    next.saved_from = snapshot.manifest.info.id;
  }
  TRY(book_->write(next));
  facts_.with([&](Facts& facts) { facts.resume_options = options; });
  return {};
}

/// The old machine rests until the new one is complete; when anything fails it goes on.
base::Status VirtualMachine::apply_running(MachineRunner::Session& session,
                                           const OpenSnapshot& snapshot, const Present& next,
                                           const std::vector<DiskChain>& chains,
                                           const ApplyOptions& options) {
  if (!snapshot.manifest.info.has_memory) {
    TRY(book_->write(next));
    session.end({Ending::Kind::kStopped, "switched off to apply a snapshot without memory"});
    return {};
  }
  const bool was_paused = runner_->state() == PowerState::kPaused;
  std::unique_ptr<vmm::Machine> machine;
  {
    const auto rest = TRY(session.rest());
    session.machine()->release_ports(rest.paused());  // the new one wants them
    auto built = restore(snapshot, chains, options);
    if (built) {
      if (auto saved = book_->write(next); !saved) built = base::fail(saved.error());
    }
    if (!built) {
      const auto claimed = session.machine()->claim_ports(rest.paused());
      if (!claimed) base::log::error("{}: {}", directory_.name(), claimed.error().message());
      return base::fail(built.error());
    }
    machine = std::move(*built);
    session.machine()->end({Ending::Kind::kStopped, "replaced by a snapshot"});
  }
  session.replace(std::move(machine), was_paused);
  return {};
}

base::Status VirtualMachine::destroy_snapshot(const std::string& id) {
  Unobserved nobody;
  const auto work = TRY(work_.take(fmt::format("deleting snapshot {}", id), nobody));
  return destroy({id});
}

/// `ids`: children before their parents, so that a kill in the middle leaves no orphan.
base::Status VirtualMachine::destroy(const std::vector<std::string>& ids) {
  Present now = present();
  for (const auto& id : ids) {
    if (now.saved_from != id) continue;
    return base::fail(ErrorKind::kInvalidState,
                      fmt::format("snapshot {}: the machine's saved memory is in it; start the "
                                  "machine first, or power it off to give the memory up",
                                  id));
  }
  for (const auto& id : ids) {
    const auto manifest = store_.load(id);
    TRY(store_.remove(id));
    if (now.current == id) now.current = manifest ? manifest->info.parent : "";
    if (now.last_applied == id) now.last_applied.clear();
    book_->hold(now);
    book_->settle();  // else the name is without a snapshot, and passed over
  }
  return remove_unused_layers_of_present();
}

base::Status VirtualMachine::destroy_snapshot_tree(const std::string& id) {
  Unobserved nobody;
  const auto work = TRY(work_.take(fmt::format("deleting the tree of snapshot {}", id), nobody));
  TRY(store_.load(id));
  const auto all = TRY(infos());
  std::vector<std::string> ids = {id};
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (const auto& info : all) {
      if (info.parent == ids[i]) ids.push_back(info.id);
    }
  }
  std::reverse(ids.begin(), ids.end());
  return destroy(ids);
}

base::Status VirtualMachine::verify_snapshot(const std::string& id, WorkObserver& observer) {
  const auto work = TRY(work_.take(fmt::format("verifying snapshot {}", id), observer));
  const Manifest manifest = TRY(store_.load(id));
  TRY(proven_chains(directory_, manifest.disks));
  return store_.verify(id, work.get());
}

base::Status VirtualMachine::rename_snapshot(const std::string& id, const std::string& name,
                                             const std::string& notes) {
  TRY(check_snapshot_name(name));
  Unobserved nobody;
  const auto work = TRY(work_.take(fmt::format("renaming snapshot {}", id), nobody));
  return store_.rename(id, name, notes);
}

}  // namespace stasis::snapshot
