#include "vmm/kvm/vcpu_state.h"

#include <asm/kvm_para.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <cstring>

#include "tests/kvm/tiny_vm.h"
#include "vmm/kvm/tsc.h"
#include "vmm/kvm/vm_state.h"

namespace stasis::vmm {
namespace {

VcpuFacts facts_of(const TinyVm& tiny) {
  return probe_vcpu(tiny.system, tiny.vm, *tiny.vcpu).value();
}

void restore(TinyVm& tiny, const VcpuFacts& facts, const VcpuState& state) {
  const auto restored = restore_vcpu(*tiny.vcpu, facts, state);
  INFO((restored ? "" : restored.error().message()));
  REQUIRE(restored);
  REQUIRE(restore_vcpu_events(*tiny.vcpu, state));
}

/// Where two states differ; empty when they are equal.
std::string difference_of(const VcpuState& found, const VcpuState& wanted) {
  return base::first_difference(base::encode_state(found), base::encode_state(wanted)).value_or("");
}

/// `tiny`'s state after it went through a second machine.
VcpuState moved(const TinyVm& tiny, const VcpuFacts& facts) {
  TinyVm second({0xF4});
  restore(second, facts, save_vcpu(*tiny.vcpu, facts).value());
  VcpuState state = save_vcpu(*second.vcpu, facts).value();
  state.cpuid = to_state(tiny.vcpu->cpuid());  // each asked KVM, maybe on different CPUs
  return state;
}

void run_until_parked(TinyVm& tiny, std::chrono::milliseconds time) {
  VcpuThread thread(0, *tiny.vcpu, {tiny.ports, tiny.memory, tiny.observer});
  thread.resume();
  std::this_thread::sleep_for(time);
}

template <typename T>
void set(const TinyVm& tiny, unsigned long request, const T& value) {
  REQUIRE(kvm_call(tiny.vcpu->fd(), request, "a request of the test", &value));
}

TEST_CASE("registers, debug registers and MSRs of a vCPU are moved") {
  TinyVm tiny({0x40, 0xEB, 0xFD});  // 1: inc ax; jmp 1b
  run_until_parked(tiny, std::chrono::milliseconds(5));
  kvm_debugregs debug{};
  debug.db[0] = 0x1234;
  debug.dr6 = 0xFFFF'0FF0;
  debug.dr7 = 0x401;
  set(tiny, KVM_SET_DEBUGREGS, debug);
  const std::vector<MsrValue> values = {{0x277, 0x0007'0406'0007'0406},        // PAT
                                        {0x2FF, 0xC06},                        // MTRR_DEF_TYPE
                                        {0x200, 0x8000'0006},                  // MTRR_PHYSBASE0
                                        {0x401, 0xB200'0000'0000'0000},        // MC0_STATUS
                                        {0xC000'0082, 0xFFFF'8000'0000'1000},  // LSTAR
                                        {MSR_KVM_POLL_CONTROL, 0}};
  REQUIRE(write_msrs(*tiny.vcpu, values));
  const auto facts = facts_of(tiny);
  const VcpuState before = save_vcpu(*tiny.vcpu, facts).value();
  const VcpuState after = moved(tiny, facts);
  CHECK(difference_of(after, before) == "");
  for (const MsrValue& value : values) {
    CHECK(std::find(after.msrs.begin(), after.msrs.end(), value) != after.msrs.end());
  }
}

TEST_CASE("a pending NMI and a pending exception with its address are moved") {
  TinyVm tiny({0xF4});
  kvm_vcpu_events events{};
  REQUIRE(kvm_call(tiny.vcpu->fd(), KVM_GET_VCPU_EVENTS, "KVM_GET_VCPU_EVENTS", &events));
  REQUIRE((events.flags & KVM_VCPUEVENT_VALID_PAYLOAD) != 0);
  events.nmi.pending = 1;
  events.exception.pending = 1;
  events.exception.nr = 14;
  events.exception.has_error_code = 1;
  events.exception.error_code = 2;
  events.exception_has_payload = 1;
  events.exception_payload = 0xDEAD'B000;
  set(tiny, KVM_SET_VCPU_EVENTS, events);
  const auto facts = facts_of(tiny);
  const VcpuState after = moved(tiny, facts);
  CHECK(after == save_vcpu(*tiny.vcpu, facts).value());
  kvm_vcpu_events found{};
  std::memcpy(&found, after.events.data(), sizeof found);
  CHECK(found.nmi.pending == 1);
  CHECK(found.exception.pending == 1);
  CHECK(found.exception_payload == 0xDEAD'B000);
}

TEST_CASE("run states of processors that do not run are moved") {
  for (const std::uint32_t run_state :
       {KVM_MP_STATE_UNINITIALIZED, KVM_MP_STATE_INIT_RECEIVED, KVM_MP_STATE_HALTED}) {
    TinyVm tiny({0xF4});
    set(tiny, KVM_SET_MP_STATE, kvm_mp_state{run_state});
    const auto facts = facts_of(tiny);
    CHECK(moved(tiny, facts).mp_state == run_state);
  }
}

TEST_CASE("PAE page-directory pointers are moved where KVM can tell them") {
  TinyVm tiny({0xF4});
  const auto facts = facts_of(tiny);
  if (!facts.has_sregs2) return;
  kvm_sregs2 sregs{};
  REQUIRE(kvm_call(tiny.vcpu->fd(), KVM_GET_SREGS2, "KVM_GET_SREGS2", &sregs));
  sregs.cr0 |= 0x8000'0001;
  sregs.cr4 |= 0x20;
  sregs.cr3 = 0x3000;
  sregs.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
  for (unsigned i = 0; i < 4; ++i) sregs.pdptrs[i] = 0x4001 + 0x1000 * i;  // not what memory has
  set(tiny, KVM_SET_SREGS2, sregs);
  const VcpuState before = save_vcpu(*tiny.vcpu, facts).value();
  CHECK(difference_of(moved(tiny, facts), before) == "");
  std::memcpy(&sregs, before.sregs.data(), sizeof sregs);
  // With shadow page tables KVM reads them from memory again and does not tell them.
  if ((sregs.flags & KVM_SREGS2_FLAGS_PDPTRS_VALID) != 0) CHECK(sregs.pdptrs[3] == 0x7001);
}

TEST_CASE("page-directory pointers that a kernel cannot take are refused by name") {
  TinyVm tiny({0xF4});
  auto facts = facts_of(tiny);
  VcpuState state = save_vcpu(*tiny.vcpu, facts).value();
  kvm_sregs2 sregs{};
  std::memcpy(&sregs, state.sregs.data(), sizeof sregs);
  sregs.flags = KVM_SREGS2_FLAGS_PDPTRS_VALID;
  std::memcpy(state.sregs.data(), &sregs, sizeof sregs);
  facts.has_sregs2 = false;
  const auto refused = restore_vcpu(*tiny.vcpu, facts, state);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().message().find("KVM_CAP_SREGS2: ") == 0);
}

TEST_CASE("a kernel without KVM_CAP_SREGS2 moves all the rest") {
  TinyVm tiny({0x40, 0xEB, 0xFD});
  run_until_parked(tiny, std::chrono::milliseconds(2));
  auto facts = facts_of(tiny);
  const VcpuState by_new = save_vcpu(*tiny.vcpu, facts).value();
  facts.has_sregs2 = false;
  CHECK(difference_of(save_vcpu(*tiny.vcpu, facts).value(), by_new) == "");
  CHECK(difference_of(moved(tiny, facts), by_new) == "");
}

TEST_CASE("interrupt controllers are restored whatever the lines are at") {
  TinyVm tiny({0xF4});
  VmState state = save_vm(tiny.vm).value();
  kvm_pic_state slave{};
  slave.isr = 2;  // its interrupt 1 is being served, and has come again
  slave.last_irr = 2;
  slave.elcr_mask = 0xDE;
  kvm_pic_state master{};
  master.isr = 4;
  master.elcr_mask = 0xF8;
  std::memcpy(state.pic_slave.data(), &slave, sizeof slave);
  std::memcpy(state.pic_master.data(), &master, sizeof master);
  TinyVm second({0xF4});
  VmState open = state;  // nothing masked
  open.pic_slave = open.pic_master = {};
  REQUIRE(restore_interrupt_controllers(second.vm, open));
  second.vm.set_irq_line(9, true);  // as a device's constructor does
  REQUIRE(restore_interrupt_controllers(second.vm, state));
  const VmState found = save_vm(second.vm).value();
  CHECK(found.pic_master == state.pic_master);
  CHECK(found.pic_slave == state.pic_slave);
  CHECK(found.ioapic == state.ioapic);
  CHECK(found.pit == state.pit);
}

TEST_CASE("the processor's priority is what follows from the registers it depends on") {
  struct Case {
    std::uint8_t task;
    std::uint8_t served;
    std::uint8_t wanted;
  };
  for (const auto& [task, served, wanted] :
       {Case{0, 0, 0}, Case{0x25, 0, 0x25}, Case{0, 0x41, 0x40}, Case{0x45, 0x41, 0x45},
        Case{0x35, 0x41, 0x40}}) {
    TinyVm tiny({0xF4});
    kvm_lapic_state lapic{};
    REQUIRE(kvm_call(tiny.vcpu->fd(), KVM_GET_LAPIC, "KVM_GET_LAPIC", &lapic));
    lapic.regs[0x80] = static_cast<char>(task);
    if (served != 0)
      lapic.regs[0x100 + served / 32 * 16 + served % 32 / 8] = static_cast<char>(1 << served % 8);
    set(tiny, KVM_SET_LAPIC, lapic);
    const auto facts = facts_of(tiny);
    const VcpuState state = save_vcpu(*tiny.vcpu, facts).value();
    CHECK(state.lapic[0xA0] == wanted);
    CHECK(difference_of(moved(tiny, facts), state) == "");
  }
}

TEST_CASE("a register that KVM refuses is named with its value") {
  TinyVm tiny({0xF4});
  const auto facts = facts_of(tiny);
  auto state = save_vcpu(*tiny.vcpu, facts).value();
  state.msrs.push_back({0xDEAD'BEEF, 0x12});
  const auto refused = restore_vcpu(*tiny.vcpu, facts, state);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind() == base::ErrorKind::kUnsupported);
  CHECK(refused.error().message() == "this host's KVM refuses MSR 0xdeadbeef = 0x12");
}

TEST_CASE("the list of MSRs has what KVM's own list leaves out, and no clock") {
  TinyVm tiny({0xF4});
  const auto msrs = facts_of(tiny).msrs;
  CHECK(std::is_sorted(msrs.begin(), msrs.end()));
  const auto has = [&msrs](std::uint32_t index) {
    return std::binary_search(msrs.begin(), msrs.end(), index);
  };
  for (const std::uint32_t index :
       {0x2FFU, 0x200U, 0x26FU, 0x400U, 0x47CU, 0x17AU, kMsrTscDeadline, 0x4B56'4D00U, 0x4B56'4D01U,
        0x4B56'4D02U, 0x4B56'4D03U, 0x4B56'4D04U, 0x4B56'4D05U, 0x4B56'4D06U, 0x4B56'4D07U}) {
    INFO(std::hex << index);
    CHECK(has(index));
  }
  CHECK_FALSE(has(kMsrTsc));
  CHECK_FALSE(has(0x12));
}

TEST_CASE("a time stamp counter is read and written, with and without KVM's offset") {
  TinyVm tiny({0xF4});
  if (!tiny.can_set_tsc()) return;
  auto facts = probe_tsc(tiny.vm, *tiny.vcpu).value();
  const bool offset_there = facts.has_offset;
  for (const bool has_offset : {false, true}) {
    if (has_offset && !offset_there) continue;
    facts.has_offset = has_offset;
    INFO((has_offset ? "offset" : "register"));
    const std::uint64_t moment = host_tsc();
    REQUIRE(write_tsc(*tiny.vcpu, facts, {facts.host_khz, 5'000'000'000'000}, moment));
    const auto read = read_tsc(*tiny.vcpu, facts, moment).value();
    CHECK(read.khz == facts.host_khz);
    const auto error = static_cast<std::int64_t>(read.value - 5'000'000'000'000);
    // The register is written and read a moment after it was computed.
    CHECK(std::abs(error) <= (has_offset ? 0 : tsc_counts(20'000'000, facts.host_khz)));
  }
}

TEST_CASE("a counter of another rate is refused unless KVM can scale") {
  TinyVm tiny({0xF4});
  auto facts = probe_tsc(tiny.vm, *tiny.vcpu).value();
  facts.can_scale = false;
  const std::uint32_t khz = facts.host_khz;
  CHECK(set_tsc_rate(*tiny.vcpu, facts, khz));
  CHECK(set_tsc_rate(*tiny.vcpu, facts, khz + khz / 5000));  // 200 ppm
  CHECK(set_tsc_rate(*tiny.vcpu, facts, khz - khz / 5000));
  for (const std::uint32_t other : {khz + khz / 3000, khz - khz / 3000, 0U}) {
    const auto refused = set_tsc_rate(*tiny.vcpu, facts, other);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message().find("TSC: saved at ") == 0);
  }
}

TEST_CASE("a vCPU counts at the host's rate, whatever KVM took that for when it was loaded") {
  const auto system = KvmSystem::open().value();
  const auto rate_in = [](const KvmVm& vm) {
    return kvm_ioctl(vm.create_vcpu(0).value(), KVM_GET_TSC_KHZ, 0UL);
  };
  const int host_khz = rate_in(KvmVm::create(system).value());
  const auto vm = KvmVm::create(system).value();
  const int stale_khz = host_khz - host_khz / 2000;
  if (kvm_ioctl(vm.fd(), KVM_SET_TSC_KHZ, static_cast<unsigned long>(stale_khz)) != 0) return;
  vm.take_host_tsc_rate();
  CHECK(rate_in(vm) == host_khz);
}

TEST_CASE("counts of a counter follow from its rate") {
  CHECK(tsc_counts(1'000'000, 2'000'000) == 2'000'000);
  CHECK(tsc_counts(-1'000'000'000, 2'600'000) == -2'600'000'000);
  CHECK(tsc_counts(1'000'000'000'000'000'000, 5'000'000) == 5'000'000'000'000'000'000);
}

}  // namespace
}  // namespace stasis::vmm
