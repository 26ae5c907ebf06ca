#include "vmm/vcpu_thread.h"

#include <catch2/catch.hpp>

#include "tests/kvm/tiny_vm.h"

namespace stasis::vmm {
namespace {

using namespace std::chrono_literals;

VcpuThread::Deadline in(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

VcpuThread::Wiring wiring_of(TinyVm& tiny) {
  return {tiny.ports, tiny.memory, tiny.observer};
}

TEST_CASE("a vCPU that spins in the guest is paused again and again") {
  TinyVm tiny({0x40, 0xEB, 0xFD});  // 1: inc ax; jmp 1b
  VcpuThread thread(0, *tiny.vcpu, wiring_of(tiny));
  for (int round = 0; round < 200; ++round) {
    thread.resume();
    thread.request_pause();
    REQUIRE(thread.await_pause(in(5s)));
    const auto before = tiny.regs();
    CHECK(tiny.regs().rax == before.rax);
  }
}

TEST_CASE("a paused vCPU runs on where it was") {
  TinyVm tiny({0x40, 0xEB, 0xFD});
  VcpuThread thread(0, *tiny.vcpu, wiring_of(tiny));
  std::uint64_t last = 0;
  for (int round = 0; round < 10; ++round) {
    const auto deadline = in(5s);
    do {  // however slow the host is, in the end it gets somewhere
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      thread.resume();
      std::this_thread::sleep_for(200us);
      thread.request_pause();
      REQUIRE(thread.await_pause(deadline));
    } while (tiny.regs().rax == last);
    last = tiny.regs().rax;
  }
}

// Traps T1 and T2: between the device's answer and the next entry the registers lack the result.
TEST_CASE("a paused vCPU has finished its port read") {
  // dx = 0x10; 1: in eax, dx; inc ebx; cmp eax, ebx; je 1b; hlt
  TinyVm tiny({0xBA, 0x10, 0x00, 0x66, 0xED, 0x66, 0x43, 0x66, 0x39, 0xD8, 0x74, 0xF7, 0xF4});
  VcpuThread thread(0, *tiny.vcpu, wiring_of(tiny));
  for (int round = 0; round < 300; ++round) {
    thread.resume();
    if (round % 3 == 0) std::this_thread::sleep_for(100us);  // else it may not get anywhere
    thread.request_pause();
    REQUIRE(thread.await_pause(in(5s)));
    const auto regs = tiny.regs();
    // RIP behind the `in` means that EAX has its result; at or before it, that nothing was read.
    const bool between = regs.rip >= TinyVm::kCode + 5 && regs.rip < TinyVm::kCode + 7;
    CHECK(regs.rbx + (between ? 1 : 0) == tiny.device.count);
    if (tiny.device.count > 0) CHECK(regs.rax == tiny.device.count);
  }
  CHECK(tiny.device.count > 0);
}

TEST_CASE("a halted vCPU can be paused and stopped") {
  TinyVm tiny({0xFA, 0xF4});  // cli; hlt
  VcpuThread thread(0, *tiny.vcpu, wiring_of(tiny));
  thread.resume();
  std::this_thread::sleep_for(5ms);
  thread.request_pause();
  REQUIRE(thread.await_pause(in(5s)));
  CHECK_FALSE(tiny.observer.end());
}

TEST_CASE("a string output reaches the device byte by byte") {
  // dx = 0x10; si = 0x1000; cx = 6; cld; rep outsb; cli; hlt
  TinyVm tiny({0xBA, 0x10, 0, 0xBE, 0, 0x10, 0xB9, 6, 0, 0xFC, 0xF3, 0x6E, 0xFA, 0xF4});
  VcpuThread thread(0, *tiny.vcpu, wiring_of(tiny));
  thread.resume();
  const auto deadline = in(5s);
  while (tiny.device.count < 6 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  CHECK(tiny.device.count == 6);
  CHECK(tiny.device.last == 0x10);  // the sixth byte of the code itself
}

TEST_CASE("a triple fault ends the vCPU and says so") {
  TinyVm tiny({0x0F, 0x0B});  // ud2, in protected mode and without an interrupt table
  kvm_sregs sregs{};
  REQUIRE(kvm_call(tiny.vcpu->fd(), KVM_GET_SREGS, "KVM_GET_SREGS", &sregs));
  sregs.cr0 |= 1;
  sregs.idt.limit = 0;
  REQUIRE(kvm_call(tiny.vcpu->fd(), KVM_SET_SREGS, "KVM_SET_SREGS", &sregs));
  VcpuThread thread(0, *tiny.vcpu, wiring_of(tiny));
  thread.resume();
  const auto deadline = in(5s);
  while (!tiny.observer.end() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::yield();
  }
  REQUIRE(tiny.observer.end());
  CHECK(tiny.observer.end()->kind == VcpuEnd::Kind::kTripleFault);
  thread.request_pause();
  CHECK(thread.await_pause(in(5s)));
}

TEST_CASE("a vCPU that is stuck in its device is named when the deadline passes") {
  class StuckDevice final : public devices::IoHandler {
   public:
    std::string_view name() const override { return "stuck"; }
    std::uint64_t read(devices::IoAccess) override { return 0; }
    void write(devices::IoAccess, std::uint64_t) override {
      entered = true;
      while (!released) std::this_thread::yield();
    }
    std::atomic<bool> entered{false};
    std::atomic<bool> released{false};
  };
  TinyVm tiny({0xE6, 0x50, 0xFA, 0xF4});  // out 0x50, al; cli; hlt
  StuckDevice stuck;
  REQUIRE(tiny.ports.add(0x50, 1, stuck));
  {
    VcpuThread thread(3, *tiny.vcpu, wiring_of(tiny));
    thread.resume();
    while (!stuck.entered) std::this_thread::yield();
    thread.request_pause();
    const auto paused = thread.await_pause(in(20ms));
    REQUIRE_FALSE(paused);
    CHECK(paused.error().kind() == base::ErrorKind::kTimeout);
    CHECK(paused.error().message().find("vCPU 3") == 0);
    stuck.released = true;
    CHECK(thread.await_pause(in(5s)));
  }
}

}  // namespace
}  // namespace stasis::vmm
