#include "vmm/machine_builder.h"

#include <fmt/format.h>

#include "vmm/acpi/acpi_tables.h"
#include "vmm/boot/loader.h"
#include "vmm/boot/reset_vector.h"
#include "vmm/kvm/cpuid.h"
#include "vmm/kvm/vcpu_boot.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

base::Status check_config(const MachineConfig& config) {
  if (config.cpus == 0 || config.cpus > kMaxCpus) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      fmt::format("{} vCPUs: a machine has 1 to {}", config.cpus, kMaxCpus));
  }
  if (config.memory_bytes == 0 || config.memory_bytes % 4096 != 0) {
    return base::fail(
        base::ErrorKind::kInvalidArgument,
        fmt::format("memory of {} bytes: not a whole number of 4 KiB pages", config.memory_bytes));
  }
  return {};
}

base::Result<std::unique_ptr<MachineParts>> parts_on(const MachineConfig& config,
                                                     MachineGround ground) {
  return std::make_unique<MachineParts>(config, std::move(ground), TRY(base::make_eventfd()));
}

base::Status load_guest(MachineParts& parts) {
  const auto& config = parts.config;
  parts.boot = TRY(load_files(parts.memory, config.kernel, config.initrd, config.cmdline));
  const AcpiTables tables = build_tables({.cpus = config.cpus});
  if (!parts.memory.write(tables.address, tables.bytes)) {
    return base::fail(
        base::ErrorKind::kInvalidArgument,
        fmt::format("memory of {} bytes has no room for the ACPI tables; --memory 64M "
                    "helps",
                    config.memory_bytes));
  }
  return write_reset_vector(parts.memory);
}

base::Status add_vcpu(MachineParts& parts, std::vector<kvm_cpuid_entry2> cpuid) {
  const auto id = static_cast<unsigned>(parts.vcpus.size());
  if (id != 0) {
    parts.vcpus.push_back(TRY(KvmVcpu::create(parts.kvm, parts.vm, id, std::move(cpuid))));
    return {};
  }
  parts.vcpus.push_back(
      TRY(KvmVcpu::adopt(parts.kvm, std::move(parts.first_vcpu), std::move(cpuid))));
  parts.tsc_facts = TRY(probe_tsc(parts.vm, parts.vcpus.front()));
  return {};
}

base::Status find_vcpu_facts(MachineParts& parts) {
  parts.vcpu_facts = TRY(probe_vcpu(parts.kvm, parts.vm, parts.vcpus.front()));
  return {};
}

base::Status add_saved_vcpus(MachineParts& parts, const MachineState& state) {
  for (const VcpuState& vcpu : state.vcpus) TRY(add_vcpu(parts, to_kvm(vcpu.cpuid)));
  if (!state.is_of(parts.host)) return find_vcpu_facts(parts);
  parts.vcpu_facts = facts_of(state.vcpus.front(), parts.vm);
  return {};
}

base::Status add_vcpus(MachineParts& parts) {
  const bool tsc_deadline = parts.kvm.check(KVM_CAP_TSC_DEADLINE_TIMER) > 0;
  for (unsigned cpu = 0; cpu < parts.config.cpus; ++cpu) {
    const CpuidRequest request{.model = parts.config.cpu_model,
                               .cpu = cpu,
                               .cpu_count = parts.config.cpus,
                               .tsc_deadline = tsc_deadline};
    TRY(add_vcpu(parts, make_guest_cpuid(parts.supported_cpuid, request)));
    TRY(set_firmware_msrs(parts.vcpus.back()));
  }
  TRY(find_vcpu_facts(parts));
  return set_boot_registers(parts.vcpus.front(), parts.boot.registers);
}

base::Status add_platform(MachineParts& parts, Machine::Io io, const PlatformState& state) {
  parts.platform = std::make_unique<PlatformDevices>(
      PlatformDevices::Wiring{parts.vm, parts.memory, parts.latch, io.console}, state);
  return parts.platform->connect(parts.ports);
}

base::Status add_pci(MachineParts& parts, Machine::Io io, PciDevices::HostSide host_side,
                     const PciState* saved) {
  const PciDevices::Wiring wiring{parts.memory, parts.msi_vectors, parts.doorbells, io.console,
                                  host_side};
  parts.pci = TRY(PciDevices::create(wiring, parts.config, saved));
  return parts.pci->connect(parts.ports, parts.mmio);
}

void add_threads(MachineParts& parts) {
  parts.latch.on_ending([&parts] {
    for (const auto& thread : parts.threads) thread->request_pause();
  });
  const VcpuThread::Wiring wiring{parts.ports, parts.mmio, parts.latch};
  for (unsigned cpu = 0; cpu < parts.config.cpus; ++cpu) {
    parts.threads.push_back(std::make_unique<VcpuThread>(cpu, parts.vcpus[cpu], wiring));
  }
}

}  // namespace

base::Result<std::unique_ptr<MachineParts>> build_machine(
    const MachineConfig& config, Machine::Io io, GroundAhead ahead,
    const std::optional<SurvivingState>& survivors) {
  TRY(check_config(config));
  TRY(ahead.give_memory(config.memory_bytes));
  MachineGround ground = TRY(std::move(ahead).get());
  TRY(ground.need_supported_cpuid());
  auto parts = TRY(parts_on(config, std::move(ground)));
  TRY(load_guest(*parts));
  TRY(add_vcpus(*parts));
  TRY(add_platform(*parts, io, TRY(PlatformDevices::first_state(survivors))));
  TRY(add_pci(*parts, io, PciDevices::HostSide::kOpen, nullptr));
  add_threads(*parts);
  return parts;
}

base::Result<std::unique_ptr<MachineParts>> rebuild_machine(const MachineConfig& config,
                                                            Machine::Io io, SavedParts saved) {
  TRY(check_config(config));
  auto parts = TRY(parts_on(config, std::move(saved.ground)));
  TRY(add_saved_vcpus(*parts, saved.state));
  TRY(add_platform(*parts, io, saved.platform));
  TRY(add_pci(*parts, io, saved.host_side, &saved.state.pci));
  add_threads(*parts);
  return parts;
}

}  // namespace stasis::vmm
