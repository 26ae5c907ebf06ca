#include "vmm/machine_ground.h"

#include <optional>
#include <utility>

namespace stasis::vmm {
namespace {

using RamToCome = std::future<std::optional<GuestRam>>;

base::Result<MachineGround> lay_on(RamToCome to_come) {
  KvmSystem kvm = TRY(KvmSystem::open());
  // KVM asks the CPU for each leaf, which is an exit on a host that is a guest itself.
  auto asked = std::async(std::launch::async, [&kvm] { return kvm.supported_cpuid(); });
  KvmVm vm = TRY(KvmVm::create(kvm));
  auto ram = to_come.get();
  if (!ram) return base::fail(base::ErrorKind::kCancelled, "nothing was laid on it");
  std::uint32_t slot = 0;
  for (const auto& region : ram->regions()) {
    TRY(vm.set_memory_slot(slot++, region.start, region.bytes));
  }
  TRY(vm.create_interrupt_controllers());
  base::Fd first_vcpu = TRY(vm.create_vcpu(0));
  auto supported = TRY(asked.get());  // before `kvm` moves
  return MachineGround{std::move(kvm), std::move(supported), std::move(vm), std::move(*ram),
                       std::move(first_vcpu)};
}

}  // namespace

struct GroundAhead::Thread {
  std::promise<std::optional<GuestRam>> ram;
  std::future<base::Result<MachineGround>> ground;
};

GroundAhead::GroundAhead(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
GroundAhead::GroundAhead() = default;
GroundAhead::GroundAhead(GroundAhead&&) noexcept = default;

GroundAhead& GroundAhead::operator=(GroundAhead&& other) noexcept {
  std::swap(thread_, other.thread_);
  return *this;
}

GroundAhead::~GroundAhead() {
  if (thread_) thread_->ram.set_value(std::nullopt);
}

GroundAhead GroundAhead::begin() {
  auto thread = std::make_unique<Thread>();
  thread->ground = std::async(std::launch::async, lay_on, thread->ram.get_future());
  return GroundAhead(std::move(thread));
}

std::future<base::Result<MachineGround>> GroundAhead::lay(GuestRam ram) && {
  if (!thread_) *this = begin();
  const auto thread = std::exchange(thread_, nullptr);
  thread->ram.set_value(std::move(ram));
  return std::move(thread->ground);
}

}  // namespace stasis::vmm
