#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "vmm/guest_ram.h"
#include "vmm/kvm/kvm_vcpu.h"
#include "vmm/machine_layout.h"
#include "vmm/vcpu_thread.h"

namespace stasis::vmm {

/// Counts accesses; reads give the count.
class CountingDevice final : public devices::IoHandler {
 public:
  std::string_view name() const override { return "counter"; }
  std::uint64_t read(devices::IoAccess) override { return ++count; }
  void write(devices::IoAccess, std::uint64_t value) override {
    ++count;
    last = value;
  }
  std::atomic<std::uint64_t> count{0};
  std::atomic<std::uint64_t> last{0};
};

class RecordedEnd final : public VcpuObserver {
 public:
  void vcpu_ended(unsigned, VcpuEnd vcpu_end) override {
    const std::lock_guard lock(mutex_);
    end_ = std::move(vcpu_end);
  }
  std::optional<VcpuEnd> end() {
    const std::lock_guard lock(mutex_);
    return end_;
  }

 private:
  std::mutex mutex_;
  std::optional<VcpuEnd> end_;
};

/// One vCPU in real mode with 2 MiB of RAM and `code` at 0x1000, where it starts. A CountingDevice
/// is at port 0x10 and at 0xD000'0000.
struct TinyVm {
  static constexpr std::uint64_t kCode = 0x1000;

  TinyVm(std::initializer_list<std::uint8_t> code);

  kvm_regs regs() const;

  /// A KVM without hardware virtualization may ignore it: its guests see the host's counter.
  bool can_set_tsc() const;

  KvmSystem system = KvmSystem::open().value();
  KvmVm vm = KvmVm::create(system).value();
  GuestRam ram = GuestRam::allocate(2 << 20).value();
  CountingDevice device;
  devices::IoBus ports;
  devices::IoBus memory;
  RecordedEnd observer;
  std::optional<KvmVcpu> vcpu;
};

}  // namespace stasis::vmm
