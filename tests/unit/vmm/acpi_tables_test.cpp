#include "vmm/acpi/acpi_tables.h"

#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <numeric>
#include <string>

#include "devices/legacy/acpi_pm.h"
#include "vmm/acpi/acpi_structs.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using Table = std::vector<std::uint8_t>;
using Tables = std::map<std::string, Table>;

/// Reads tables as a guest does, by address.
class Walk {
 public:
  explicit Walk(unsigned cpus) : tables_(build_tables({cpus})) {}

  template <typename T>
  T at(std::uint64_t address) const {
    T value;
    const auto offset = address - tables_.address.value;
    REQUIRE(offset + sizeof value <= tables_.bytes.size());
    std::memcpy(&value, tables_.bytes.data() + offset, sizeof value);
    return value;
  }

  Table table_at(std::uint64_t address) const {
    const std::uint64_t length = at<acpi::Header>(address).length;
    const auto offset = address - tables_.address.value;
    REQUIRE(offset + length <= tables_.bytes.size());
    Table table(length);
    std::memcpy(table.data(), tables_.bytes.data() + offset, length);
    return table;
  }

  acpi::Rsdp rsdp() const { return at<acpi::Rsdp>(tables_.rsdp.value); }

  /// All tables by signature, the DSDT by way of the FADT.
  Tables all() const {
    Tables found;
    const Table xsdt = table_at(rsdp().xsdt);
    found["XSDT"] = xsdt;
    for (std::size_t i = sizeof(acpi::Header); i < xsdt.size(); i += 8) {
      std::uint64_t address = 0;
      std::memcpy(&address, xsdt.data() + i, 8);
      const Table table = table_at(address);
      found[std::string(table.begin(), table.begin() + 4)] = table;
    }
    std::uint64_t dsdt = 0;
    std::memcpy(&dsdt, found.at("FACP").data() + 140, 8);
    found["DSDT"] = table_at(dsdt);
    return found;
  }

 private:
  AcpiTables tables_;
};

unsigned sum(std::span<const std::uint8_t> bytes) {
  return std::accumulate(bytes.begin(), bytes.end(), 0U) & 0xFF;
}

template <typename T>
T field(const Table& table, std::size_t offset) {
  T value;
  REQUIRE(offset + sizeof value <= table.size());
  std::memcpy(&value, table.data() + offset, sizeof value);
  return value;
}

/// MADT entries of one type, as bytes.
std::vector<Table> entries_of(const Table& madt, std::uint8_t type) {
  std::vector<Table> entries;
  for (std::size_t at = 44; at < madt.size(); at += madt[at + 1]) {
    REQUIRE(madt[at + 1] >= 2);
    REQUIRE(at + madt[at + 1] <= madt.size());
    const auto start = madt.begin() + static_cast<long>(at);
    if (madt[at] == type) entries.emplace_back(start, start + madt[at + 1]);
  }
  return entries;
}

TEST_CASE("every table can be reached from the RSDP and sums up to 0") {
  for (const unsigned cpus : {1U, 32U}) {
    const auto tables = Walk(cpus).all();
    CHECK(tables.size() == 5);
    for (const auto* signature : {"XSDT", "FACP", "APIC", "MCFG", "DSDT"}) {
      CAPTURE(signature, cpus);
      REQUIRE(tables.contains(signature));
      CHECK(sum(tables.at(signature)) == 0);
    }
  }
}

TEST_CASE("both checksums of the RSDP hold and it is first in its area") {
  const auto rsdp = Walk(1).rsdp();
  Table bytes(sizeof rsdp);
  std::memcpy(bytes.data(), &rsdp, sizeof rsdp);
  CHECK(sum(std::span(bytes).first(20)) == 0);
  CHECK(sum(bytes) == 0);
  CHECK(std::string(bytes.begin(), bytes.begin() + 8) == "RSD PTR ");
  CHECK(build_tables({1}).rsdp.value == layout::kAcpiTables);
}

TEST_CASE("the tables of the largest machine stay below the generation ID") {
  CHECK(layout::kAcpiTables + build_tables({32}).bytes.size() <= layout::kVmGenId);
  CHECK(layout::kVmGenId + 16 <= layout::kAcpiTablesEnd);
}

TEST_CASE("the FADT is hardware-reduced with sleep and reset registers in ports") {
  const auto fadt = Walk(1).all().at("FACP");
  CHECK(fadt.size() == 276);
  const auto flags = field<std::uint32_t>(fadt, 112);
  CHECK((flags >> 20 & 1) == 1);
  CHECK((flags >> 10 & 1) == 1);
  CHECK((field<std::uint16_t>(fadt, 109) & 2) == 0);  // no 8042 to probe
  CHECK(field<std::uint8_t>(fadt, 116) == 1);
  CHECK(field<std::uint64_t>(fadt, 120) == layout::kAcpiPm + devices::AcpiPm::kReset);
  CHECK(field<std::uint8_t>(fadt, 128) == devices::AcpiPm::kResetValue);
  CHECK(field<std::uint64_t>(fadt, 248) == layout::kAcpiPm + devices::AcpiPm::kSleepControl);
  CHECK(field<std::uint64_t>(fadt, 260) == layout::kAcpiPm + devices::AcpiPm::kSleepStatus);
}

TEST_CASE("the MADT has an enabled local APIC a processor, numbered from 0") {
  for (const unsigned cpus : {1U, 2U, 32U}) {
    const auto processors = entries_of(Walk(cpus).all().at("APIC"), 0);
    REQUIRE(processors.size() == cpus);
    for (unsigned cpu = 0; cpu < cpus; ++cpu) {
      CHECK(processors[cpu] == Table{0, 8, static_cast<std::uint8_t>(cpu),
                                     static_cast<std::uint8_t>(cpu), 1, 0, 0, 0});
    }
  }
}

TEST_CASE("the MADT has one IOAPIC, a level-triggered events interrupt and NMI on LINT1") {
  const auto madt = Walk(4).all().at("APIC");
  CHECK(field<std::uint32_t>(madt, 36) == layout::kLocalApicStart);
  CHECK(entries_of(madt, 1) == std::vector<Table>{{1, 12, 0, 0, 0, 0, 0xC0, 0xFE, 0, 0, 0, 0}});
  CHECK(entries_of(madt, 2) == std::vector<Table>{{2, 10, 0, 9, 9, 0, 0, 0, 0x0D, 0}});
  CHECK(entries_of(madt, 4) == std::vector<Table>{{4, 6, 0xFF, 0, 0, 1}});
}

TEST_CASE("the MCFG has the ECAM window of one bus") {
  const auto mcfg = Walk(1).all().at("MCFG");
  CHECK(mcfg.size() == 60);
  CHECK(field<std::uint64_t>(mcfg, 44) == layout::kEcamStart);
  CHECK(field<std::uint32_t>(mcfg, 52) == 0);  // segment 0, buses 0 to 0
}

/// The text that iasl makes of `table`; empty when iasl fails or complains.
std::string disassemble(const std::string& name, const Table& table) {
  const auto folder =
      std::filesystem::temp_directory_path() / ("acpi_tables_test." + std::to_string(::getpid()));
  std::filesystem::create_directories(folder);
  const auto stem = (folder / name).string();
  std::ofstream(stem + ".aml", std::ios::binary)
      .write(reinterpret_cast<const char*>(table.data()), static_cast<long>(table.size()));
  const auto command = "iasl -d " + stem + ".aml > " + stem + ".log 2>&1";
  const bool done = std::system(command.c_str()) == 0;
  const auto read = [](const std::string& path) {
    std::ifstream in(path);
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  const auto log = read(stem + ".log");
  auto text = read(stem + ".dsl");
  std::filesystem::remove_all(folder);
  const bool complains =
      log.find("rror") != std::string::npos || text.find("Invalid") != std::string::npos ||
      text.find("Incorrect") != std::string::npos || text.find("rror") != std::string::npos;
  CAPTURE(log, text);
  CHECK(done);
  CHECK_FALSE(complains);
  return text;
}

TEST_CASE("iasl understands every table") {
  if (std::system("command -v iasl > /dev/null 2>&1") != 0) {
    WARN("iasl is not on the PATH: not checked; install acpica-tools");
    return;
  }
  for (const unsigned cpus : {1U, 32U}) {
    for (const auto& [name, table] : Walk(cpus).all()) {
      CAPTURE(name, cpus);
      CHECK_FALSE(disassemble(name, table).empty());
    }
  }
}

TEST_CASE("the DSDT names the addresses of the layout") {
  if (std::system("command -v iasl > /dev/null 2>&1") != 0) return;
  const auto text = disassemble("DSDT", Walk(1).all().at("DSDT"));
  for (const std::string wanted : {"0xDFFFFFFF", "0xE0000000", "0x000FF000", "SystemIO, 0x0603",
                                   "0x00000009", "\"ACPI0013\"", "\"VM_Gen_Counter\""}) {
    CAPTURE(wanted);
    CHECK(text.find(wanted) != std::string::npos);
  }
}

}  // namespace
}  // namespace stasis::vmm
