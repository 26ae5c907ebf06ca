#include "vmm/machine_ground.h"

#include <future>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/check.h"
#include "base/thread_placement.h"
#include "vmm/kvm/host_instance.h"

namespace stasis::vmm {
namespace {

using Leaves = std::vector<kvm_cpuid_entry2>;

/// For the supported CPUID, put on a thread of its own.
class Question {
 public:
  explicit Question(const KvmSystem& kvm)
      : thread_([this, &kvm] { answer_ = kvm.supported_cpuid(); }) {
    base::work_elsewhere(thread_);
  }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;
  ~Question() {
    if (thread_.joinable()) thread_.join();
  }
  base::Result<Leaves> answer() {
    thread_.join();
    return std::move(answer_);
  }

 private:
  base::Result<Leaves> answer_;
  std::thread thread_;
};

}  // namespace

/// The memory stays here until all has gone well: whoever fills it must not find it unmapped.
struct GroundAhead::Thread {
  std::once_flag host_is_known;
  std::string host;
  std::promise<bool> is_given;
  std::optional<GuestRam> ram;
  std::vector<base::MemoryRegion> regions;  // of `ram`, also once it is the ground's
  std::promise<base::Result<MachineGround>> ground;
  std::thread thread;

  /// Waits for it, which may find that there is nothing to do.
  void end();
  base::Result<MachineGround> lay(Purpose purpose);
  /// By whichever thread has nothing else to do first: files of /proc and /sys, 35 us.
  void know_host() {
    std::call_once(host_is_known, [this] { host = host_instance(); });
  }
};

void GroundAhead::Thread::end() {
  if (regions.empty()) is_given.set_value(false);
  thread.join();
}

base::Status MachineGround::need_supported_cpuid() {
  if (supported_cpuid.empty()) supported_cpuid = TRY(kvm.supported_cpuid());
  return {};
}

base::Result<MachineGround> GroundAhead::Thread::lay(Purpose purpose) {
  KvmSystem kvm = TRY(KvmSystem::open());
  std::optional<Question> question;
  if (purpose == Purpose::kBoot) question.emplace(kvm);
  KvmVm vm = TRY(KvmVm::create(kvm));
  if (!is_given.get_future().get())
    return base::fail(base::ErrorKind::kCancelled, "nothing was laid on it");
  std::uint32_t slot = 0;
  for (const auto& region : regions) {
    TRY(vm.set_memory_slot(slot++, region.start, region.bytes));
  }
  TRY(vm.create_interrupt_controllers());
  base::Fd first_vcpu = TRY(vm.create_vcpu(0));
  know_host();
  Leaves supported;
  if (question) supported = TRY(question->answer());  // before `kvm` moves
  return MachineGround{std::move(kvm),       host,
                       std::move(supported), std::move(vm),
                       std::move(*ram),      std::move(first_vcpu)};
}

GroundAhead::GroundAhead(Purpose purpose) : purpose_(purpose) {}
GroundAhead::GroundAhead(GroundAhead&&) noexcept = default;

GroundAhead& GroundAhead::operator=(GroundAhead&& other) noexcept {
  std::swap(purpose_, other.purpose_);
  std::swap(thread_, other.thread_);
  return *this;
}

GroundAhead::~GroundAhead() {
  if (thread_) thread_->end();
}

GroundAhead GroundAhead::begin(Purpose purpose) {
  GroundAhead ahead(purpose);
  ahead.thread_ = std::make_shared<Thread>();
  std::thread& thread = ahead.thread_->thread;
  thread =
      std::thread([work = ahead.thread_, purpose] { work->ground.set_value(work->lay(purpose)); });
  base::work_elsewhere(thread);
  return ahead;
}

GroundAhead GroundAhead::begin_on(GuestRam ram, Purpose purpose) {
  GroundAhead ahead = begin(purpose);
  ahead.give(std::move(ram));
  return ahead;
}

base::Status GroundAhead::give_memory(std::uint64_t size_bytes) {
  std::uint64_t present = 0;
  for (const auto& region : regions()) present += region.bytes.size();
  if (present == size_bytes) return {};
  GuestRam ram = TRY(GuestRam::allocate(size_bytes));
  if (!thread_ || present != 0) *this = begin(purpose_);
  give(std::move(ram));
  return {};
}

void GroundAhead::give(GuestRam ram) {
  thread_->regions = ram.regions();
  thread_->ram = std::move(ram);
  base::wake_elsewhere(thread_->thread, [this] { thread_->is_given.set_value(true); });
}

const std::vector<base::MemoryRegion>& GroundAhead::regions() const {
  static const std::vector<base::MemoryRegion> kNone;
  return thread_ ? thread_->regions : kNone;
}

base::Result<MachineGround> GroundAhead::get() && {
  STASIS_CHECK(!regions().empty());
  thread_->know_host();
  auto ground = thread_->ground.get_future().get();
  thread_->thread.detach();  // it has nothing left to do, and its end takes 40 us
  thread_.reset();
  return ground;
}

}  // namespace stasis::vmm
