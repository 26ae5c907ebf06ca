#include "vmm/machine_ground.h"

#include <future>
#include <optional>
#include <utility>

#include "base/check.h"

namespace stasis::vmm {

/// The memory stays here until all has gone well: whoever fills it must not find it unmapped.
struct GroundAhead::Thread {
  std::promise<bool> is_given;
  std::optional<GuestRam> ram;
  std::vector<base::MemoryRegion> regions;            // of `ram`, also once it is the ground's
  std::future<base::Result<MachineGround>> ground{};  // last: goes first, and waits for the thread

  base::Result<MachineGround> lay(std::future<bool> given);
};

base::Result<MachineGround> GroundAhead::Thread::lay(std::future<bool> given) {
  KvmSystem kvm = TRY(KvmSystem::open());
  // KVM asks the CPU for each leaf, which is an exit on a host that is a guest itself.
  auto asked = std::async(std::launch::async, [&kvm] { return kvm.supported_cpuid(); });
  KvmVm vm = TRY(KvmVm::create(kvm));
  if (!given.get()) return base::fail(base::ErrorKind::kCancelled, "nothing was laid on it");
  std::uint32_t slot = 0;
  for (const auto& region : regions) {
    TRY(vm.set_memory_slot(slot++, region.start, region.bytes));
  }
  TRY(vm.create_interrupt_controllers());
  base::Fd first_vcpu = TRY(vm.create_vcpu(0));
  auto supported = TRY(asked.get());  // before `kvm` moves
  return MachineGround{std::move(kvm), std::move(supported), std::move(vm), std::move(*ram),
                       std::move(first_vcpu)};
}

GroundAhead::GroundAhead(std::unique_ptr<Thread> thread) : thread_(std::move(thread)) {}
GroundAhead::GroundAhead() = default;
GroundAhead::GroundAhead(GroundAhead&&) noexcept = default;

GroundAhead& GroundAhead::operator=(GroundAhead&& other) noexcept {
  std::swap(thread_, other.thread_);
  return *this;
}

GroundAhead::~GroundAhead() {
  if (thread_ && thread_->regions.empty()) thread_->is_given.set_value(false);
}

GroundAhead GroundAhead::begin() {
  auto thread = std::make_unique<Thread>();
  thread->ground =
      std::async(std::launch::async, &Thread::lay, thread.get(), thread->is_given.get_future());
  return GroundAhead(std::move(thread));
}

GroundAhead GroundAhead::begin_on(GuestRam ram) {
  GroundAhead ahead = begin();
  ahead.give(std::move(ram));
  return ahead;
}

base::Status GroundAhead::give_memory(std::uint64_t size_bytes) {
  std::uint64_t present = 0;
  for (const auto& region : regions()) present += region.bytes.size();
  if (present == size_bytes) return {};
  GuestRam ram = TRY(GuestRam::allocate(size_bytes));
  if (!thread_ || present != 0) *this = begin();
  give(std::move(ram));
  return {};
}

void GroundAhead::give(GuestRam ram) {
  thread_->regions = ram.regions();
  thread_->ram = std::move(ram);
  thread_->is_given.set_value(true);
}

const std::vector<base::MemoryRegion>& GroundAhead::regions() const {
  static const std::vector<base::MemoryRegion> kNone;
  return thread_ ? thread_->regions : kNone;
}

base::Result<MachineGround> GroundAhead::get() && {
  STASIS_CHECK(!regions().empty());
  auto ground = thread_->ground.get();
  thread_.reset();
  return ground;
}

}  // namespace stasis::vmm
