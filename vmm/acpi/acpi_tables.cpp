#include "vmm/acpi/acpi_tables.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <span>

#include "base/check.h"
#include "devices/legacy/acpi_pm.h"
#include "devices/legacy/cmos_rtc.h"
#include "vmm/acpi/acpi_structs.h"
#include "vmm/machine_config.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using devices::AcpiPm;

constexpr std::uint8_t kDsdtAml[] = {
#include "vmm/acpi/dsdt_aml.inc"
};

constexpr std::array<char, 6> kOemId = {'S', 'T', 'A', 'S', 'I', 'S'};
constexpr std::array<char, 8> kOemTableId = {'S', 'T', 'A', 'S', 'I', 'S', ' ', ' '};
constexpr std::array<char, 4> kCreatorId = {'S', 'T', 'A', 'S'};
constexpr std::size_t kTableAlignment = 16;
constexpr std::size_t kChecksumAt = offsetof(acpi::Header, checksum);

// FADT, ACPI 6.4 tables 5.10 (boot flags) and 5.11 (flags). Without the 8042 flag Linux does not
// probe for a keyboard; the port is there for resets all the same.
constexpr std::uint8_t kProfileEnterpriseServer = 4;
constexpr std::uint16_t kBootLegacyDevices = 1 << 0;
constexpr std::uint16_t kBootNoVga = 1 << 2;
constexpr std::uint16_t kBootNoAspm = 1 << 4;
constexpr std::uint32_t kFlagWbinvd = 1 << 0;
constexpr std::uint32_t kFlagNoFixedPowerButton = 1 << 4;
constexpr std::uint32_t kFlagNoFixedSleepButton = 1 << 5;
constexpr std::uint32_t kFlagNoFixedRtc = 1 << 6;
constexpr std::uint32_t kFlagReset = 1 << 10;
constexpr std::uint32_t kFlagHardwareReduced = 1 << 20;

// MADT, tables 5.22 and 5.26
constexpr std::uint32_t kProcessorEnabled = 1;
constexpr std::uint16_t kActiveHigh = 1;
constexpr std::uint16_t kLevelTriggered = 3 << 2;

using Bytes = std::vector<std::byte>;

template <typename T>
void append(Bytes& bytes, const T& value) {
  const auto raw = std::as_bytes(std::span(&value, 1));
  bytes.insert(bytes.end(), raw.begin(), raw.end());
}

/// What makes the sum of all bytes 0.
std::byte checksum(std::span<const std::byte> bytes) {
  const auto add = [](unsigned sum, std::byte byte) {
    return sum + std::to_integer<unsigned>(byte);
  };
  return static_cast<std::byte>(-std::accumulate(bytes.begin(), bytes.end(), 0U, add));
}

/// `body` behind a header of its own.
Bytes make_table(acpi::Signature signature, std::uint8_t revision, const Bytes& body) {
  acpi::Header header;
  header.signature = signature;
  header.revision = revision;
  header.length = static_cast<std::uint32_t>(sizeof header + body.size());
  header.oem_id = kOemId;
  header.oem_table_id = kOemTableId;
  header.creator_id = kCreatorId;
  Bytes table;
  append(table, header);
  table.insert(table.end(), body.begin(), body.end());
  table[kChecksumAt] = checksum(table);
  return table;
}

acpi::Register byte_port(std::uint64_t port) {
  return {.space = 1, .bit_width = 8, .bit_offset = 0, .access_size = 1, .address = port};
}

Bytes make_fadt(std::uint64_t dsdt) {
  acpi::Fadt fadt;
  fadt.dsdt = static_cast<std::uint32_t>(dsdt);
  fadt.x_dsdt = dsdt;
  fadt.pm_profile = kProfileEnterpriseServer;
  // Not used by a hardware-reduced system, but Linux sets this interrupt up as the MADT says; with
  // 0 it would make the timer's interrupt level-triggered.
  fadt.sci_interrupt = layout::kEventsGsi;
  fadt.century = devices::CmosRtc::kCenturyRegister;
  fadt.boot_flags = kBootLegacyDevices | kBootNoVga | kBootNoAspm;
  fadt.flags = kFlagWbinvd | kFlagNoFixedPowerButton | kFlagNoFixedSleepButton | kFlagNoFixedRtc |
               kFlagReset | kFlagHardwareReduced;
  fadt.reset_register = byte_port(layout::kAcpiPm + AcpiPm::kReset);
  fadt.reset_value = AcpiPm::kResetValue;
  fadt.minor_version = 4;
  fadt.sleep_control = byte_port(layout::kAcpiPm + AcpiPm::kSleepControl);
  fadt.sleep_status = byte_port(layout::kAcpiPm + AcpiPm::kSleepStatus);
  fadt.hypervisor = kOemTableId;
  Bytes body;
  append(body, fadt);
  return make_table({'F', 'A', 'C', 'P'}, 6, body);
}

Bytes make_madt(unsigned cpus) {
  Bytes body;
  append(body, acpi::Madt{.local_apic = layout::kLocalApicStart, .flags = 0});
  for (unsigned cpu = 0; cpu < cpus; ++cpu) {
    acpi::MadtLocalApic entry;
    entry.processor_uid = entry.apic_id = static_cast<std::uint8_t>(cpu);
    entry.flags = kProcessorEnabled;
    append(body, entry);
  }
  acpi::MadtIoApic io_apic;
  io_apic.address = layout::kIoApicStart;
  append(body, io_apic);
  acpi::MadtInterruptOverride events;  // below 16 the default is edge-triggered
  events.irq = layout::kEventsGsi;
  events.gsi = layout::kEventsGsi;
  events.flags = kActiveHigh | kLevelTriggered;
  append(body, events);
  acpi::MadtLocalApicNmi nmi;
  nmi.lint = 1;
  append(body, nmi);
  return make_table({'A', 'P', 'I', 'C'}, 5, body);
}

Bytes make_mcfg() {
  acpi::Mcfg mcfg;
  mcfg.ecam = layout::kEcamStart;
  mcfg.last_bus = (layout::kEcamSize >> 20) - 1;
  Bytes body;
  append(body, mcfg);
  return make_table({'M', 'C', 'F', 'G'}, 1, body);
}

Bytes make_xsdt(std::span<const std::uint64_t> tables) {
  Bytes body;
  for (const std::uint64_t table : tables) append(body, table);
  return make_table({'X', 'S', 'D', 'T'}, 1, body);
}

acpi::Rsdp make_rsdp(std::uint64_t xsdt) {
  acpi::Rsdp rsdp;
  rsdp.oem_id = kOemId;
  rsdp.xsdt = xsdt;
  const auto bytes = std::as_bytes(std::span(&rsdp, 1));
  rsdp.checksum = std::to_integer<std::uint8_t>(checksum(bytes.first(acpi::Rsdp::kOldSize)));
  rsdp.extended_checksum = std::to_integer<std::uint8_t>(checksum(bytes));
  return rsdp;
}

/// Puts `table` behind the others and returns its guest-physical address.
std::uint64_t place(Bytes& tables, const Bytes& table) {
  tables.resize((tables.size() + kTableAlignment - 1) / kTableAlignment * kTableAlignment);
  const std::uint64_t address = layout::kAcpiTables + tables.size();
  tables.insert(tables.end(), table.begin(), table.end());
  return address;
}

}  // namespace

AcpiTables build_tables(const AcpiConfig& config) {
  STASIS_CHECK(config.cpus >= 1 && config.cpus <= kMaxCpus);
  Bytes bytes(sizeof(acpi::Rsdp));  // first, where a search would find it; written last
  const auto aml = std::as_bytes(std::span(kDsdtAml));
  const std::uint64_t dsdt = place(bytes, Bytes(aml.begin(), aml.end()));
  const std::array tables = {place(bytes, make_fadt(dsdt)), place(bytes, make_madt(config.cpus)),
                             place(bytes, make_mcfg())};
  const auto rsdp = make_rsdp(place(bytes, make_xsdt(tables)));
  std::memcpy(bytes.data(), &rsdp, sizeof rsdp);
  STASIS_CHECK(layout::kAcpiTables + bytes.size() <= layout::kVmGenId);
  return {{layout::kAcpiTables}, std::move(bytes), {layout::kAcpiTables}};
}

}  // namespace stasis::vmm
