#include "vmm/machine.h"

#include <fmt/format.h>
#include <poll.h>

#include <utility>

#include "base/check.h"
#include "vmm/machine_builder.h"
#include "vmm/machine_parts.h"
#include "vmm/machine_restore.h"
#include "vmm/machine_selftest.h"

namespace stasis::vmm {

PausedMachine::~PausedMachine() {
  if (machine_ != nullptr) machine_->resume();
}

base::Result<std::unique_ptr<Machine>> Machine::create(
    const MachineConfig& config, Io io, GroundAhead ahead,
    const std::optional<SurvivingState>& survivors) {
  auto parts = TRY(build_machine(config, io, std::move(ahead), survivors));
  // Apart: an early return inside new would leak.
  return std::unique_ptr<Machine>(new Machine(std::move(parts)));
}

base::Result<std::unique_ptr<Machine>> Machine::restore(const MachineConfig& config, Io io,
                                                        RamSource& source, const Restore& restore) {
  GuestRam ram = TRY(GuestRam::allocate(config.memory_bytes));
  TRY(source.fill(ram.regions()));
  return Machine::restore(
      config, io, TRY(GroundAhead::begin_on(std::move(ram), GroundAhead::Purpose::kRestore).get()),
      restore);
}

base::Result<std::unique_ptr<Machine>> Machine::restore(const MachineConfig& config, Io io,
                                                        MachineGround ground,
                                                        const Restore& restore) {
  auto parts = TRY(restore_machine(config, io, std::move(ground), restore));
  return std::unique_ptr<Machine>(new Machine(std::move(parts)));
}

Machine::Machine(std::unique_ptr<MachineParts> parts) : parts_(std::move(parts)) {}

Machine::~Machine() {
  // Whoever is bringing an end right now is done with the threads when this returns.
  parts_->latch.end({Ending::Kind::kStopped, ""});
  parts_->threads.clear();
}

const std::string& Machine::kernel_description() const {
  return parts_->boot.description;
}

void Machine::start() {
  started_ = true;
  parts_->pci->open();
  for (const auto& thread : parts_->threads) thread->resume();
  work_beside_caller();
  parts_->pci->start();  // after the vCPUs: making a thread takes a while
  keep_disks_off_vcpus();
}

/// After the vCPUs have begun, which it waits for.
void Machine::keep_disks_off_vcpus() {
  if (!disks().empty()) parts_->pci->keep_disks_off(vcpu_watches());
}

/// Made when they are needed first: not on the way to a guest's first instruction.
const std::shared_ptr<const base::ThreadWatches>& Machine::vcpu_watches() {
  if (vcpu_watches_) return vcpu_watches_;
  base::ThreadWatches watches;
  for (const auto& thread : parts_->threads) watches.push_back(thread->watch());
  vcpu_watches_ = std::make_shared<const base::ThreadWatches>(std::move(watches));
  return vcpu_watches_;
}

void Machine::work_beside_caller() {
  for (const auto& thread : parts_->threads) thread->work_beside_caller();
}

base::Result<PausedMachine> Machine::start_paused(std::chrono::milliseconds limit) {
  started_ = true;
  parts_->pci->start();
  keep_disks_off_vcpus();
  return pause(limit);  // the vCPUs were not told to run yet
}

SurvivingState Machine::surviving_state() const {
  return PlatformDevices::surviving_reset(parts_->platform->save());
}

const base::Fd& Machine::ended_event() const {
  return parts_->latch.event();
}

std::optional<Ending> Machine::ending() const {
  return parts_->latch.ending();
}

Ending Machine::wait() const {
  pollfd event{parts_->latch.event().get(), POLLIN, 0};
  while (!ending()) ::poll(&event, 1, -1);
  return *ending();
}

void Machine::end(Ending ending) {
  parts_->latch.end(std::move(ending));
}

void Machine::keep_caller_off_vcpus() {
  base::leave_cpus_of(*vcpu_watches());
}

base::Result<PausedMachine> Machine::pause(std::chrono::milliseconds limit) {
  keep_caller_off_vcpus();
  PausedMachine paused(*this);  // an early return lets everything run again
  TRY(parts_->pci->hold());     // first: vCPUs need not stand still for the host's storage
  paused.begin_ = std::chrono::steady_clock::now();
  const auto deadline = paused.begin_ + limit;
  for (const auto& thread : parts_->threads) thread->request_pause();
  for (const auto& thread : parts_->threads) TRY(thread->await_pause(deadline));
  TRY(parts_->pci->pause());  // only now: a running vCPU may start new requests (T4)
  tell_guest_it_was_stopped(*parts_);
  return paused;
}

void Machine::resume() {
  parts_->pci->resume();
  if (started_ && !ending()) {  // an ended machine stays at rest
    for (const auto& thread : parts_->threads) thread->resume();
  }
  parts_->pci->release();  // now that no vCPU waits for a CPU
}

base::Result<MachineState> Machine::save(const PausedMachine& paused) const {
  STASIS_CHECK(&paused.machine() == this);
  TRY(check_can_be_saved(*parts_));
  return save_parts(*parts_);
}

const std::vector<MachineDisk>& Machine::disks() const {
  return parts_->pci->disks();
}

const GuestRam& Machine::ram(const PausedMachine& paused) const {
  STASIS_CHECK(&paused.machine() == this);
  return parts_->ram;
}

base::Result<std::string> Machine::selftest(const PausedMachine& paused) const {
  return test_state(*parts_, TRY(save(paused)));
}

void Machine::release_ports(const PausedMachine& /*paused*/) {
  if (parts_->pci->user_net() != nullptr) parts_->pci->user_net()->release_ports();
}

base::Status Machine::claim_ports(const PausedMachine& /*paused*/) {
  if (parts_->pci->user_net() == nullptr) return {};
  return parts_->pci->user_net()->claim_ports();
}

void Machine::press_power_button() {
  parts_->platform->power().press_power_button();
}

devices::ByteReceiver& Machine::console_input() {
  if (parts_->pci->console() != nullptr) return *parts_->pci->console();
  return parts_->platform->serial();
}

}  // namespace stasis::vmm
