#include "vmm/machine_state.h"

#include <fmt/format.h>

#include <algorithm>

#include "vmm/machine_config.h"
#include "vmm/machine_layout.h"

namespace stasis::vmm {
namespace {

using base::ErrorKind;

/// What the other sections are about. Its own section: "machine".
struct HeaderState {
  static constexpr std::string_view kName = "machine";
  static constexpr std::uint32_t kVersion = 2;  // 2: with the host
  std::uint32_t layout = 0;
  std::uint64_t memory_bytes = 0;
  std::uint32_t cpus = 0;
  std::vector<std::string> functions;  // kinds, by device number less one
  std::string host;
  bool operator==(const HeaderState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [l, m, c, f, h] = self;
    fields("layout", l)("memory_bytes", m)("cpus", c)("functions", f)("host", h);
  }
  base::Status validate() const;
};

base::Status HeaderState::validate() const {
  if (layout != layout::kVersion) {
    return base::fail(ErrorKind::kUnsupported,
                      fmt::format("layout: {} is not {} of this build; use the build that saved it",
                                  layout, layout::kVersion));
  }
  if (cpus == 0 || cpus > kMaxCpus) {
    return base::fail(ErrorKind::kCorrupt,
                      fmt::format("cpus: {} is not from 1 to {}", cpus, kMaxCpus));
  }
  if (functions.size() >= layout::kMaxPciDevices) {
    return base::fail(ErrorKind::kCorrupt,
                      fmt::format("functions: {} do not fit on the bus", functions.size()));
  }
  return {};
}

std::string vcpu_section(std::size_t index) {
  return fmt::format("vcpu.{}", index);
}

std::string function_section(std::size_t index, std::string_view part) {
  return fmt::format("pci.{}.{}", index + 1, part);
}

/// Hands out sections by name, each once.
class SectionReader {
 public:
  explicit SectionReader(std::span<const StateSection> sections) {
    for (const auto& section : sections) left_.push_back(&section);
  }

  template <typename State>
  base::Status take(const std::string& name, State& out) {
    const auto found = std::find_if(left_.begin(), left_.end(),
                                    [&name](const auto* section) { return section->name == name; });
    if (found == left_.end()) {
      return base::fail(ErrorKind::kCorrupt, fmt::format("section \"{}\": missing", name));
    }
    auto state = base::decode_state<State>((*found)->cbor);
    if (!state) {
      return base::fail(state.error().with_context(fmt::format("section \"{}\"", name)));
    }
    left_.erase(found);
    out = std::move(*state);
    return {};
  }

  template <typename State>
  base::Status take(State& out) {
    return take(std::string(State::kName), out);
  }

  base::Status finish() const {
    if (left_.empty()) return {};
    return base::fail(ErrorKind::kCorrupt,
                      fmt::format("section \"{}\": unknown or there twice", left_.front()->name));
  }

 private:
  std::vector<const StateSection*> left_;
};

template <std::size_t index = 0>
base::Status take_device(SectionReader& sections, std::string_view kind, const std::string& name,
                         DeviceState& out) {
  if constexpr (index == std::variant_size_v<DeviceState>) {
    return base::fail(ErrorKind::kUnsupported,
                      fmt::format("section \"{}\": no such device in this build", name));
  } else {
    using State = std::variant_alternative_t<index, DeviceState>;
    if (State::kName == kind) return sections.take(name, out.emplace<index>());
    return take_device<index + 1>(sections, kind, name, out);
  }
}

base::Status take_platform(SectionReader& sections, PlatformState& platform) {
  TRY(sections.take(platform.uart));
  TRY(sections.take(platform.i8042));
  TRY(sections.take(platform.rtc));
  TRY(sections.take(platform.pv_panic));
  TRY(sections.take(platform.acpi_pm));
  return sections.take(platform.vm_gen_id);
}

base::Status take_pci(SectionReader& sections, const HeaderState& header, PciState& pci) {
  TRY(sections.take(pci.root));
  pci.functions.resize(header.functions.size());
  for (std::size_t i = 0; i < pci.functions.size(); ++i) {
    const std::string& kind = header.functions[i];
    TRY(take_device(sections, kind, function_section(i, kind), pci.functions[i].device));
    const std::string transport = function_section(i, devices::VirtioPciState::kName);
    TRY(sections.take(transport, pci.functions[i].transport));
  }
  return {};
}

HeaderState header_of(const MachineState& state) {
  HeaderState header{state.layout,
                     state.memory_bytes,
                     static_cast<std::uint32_t>(state.vcpus.size()),
                     {},
                     state.host};
  for (const auto& function : state.pci.functions) {
    header.functions.emplace_back(kind_of(function.device));
  }
  return header;
}

}  // namespace

std::string_view kind_of(const DeviceState& state) {
  return std::visit([](const auto& device) { return std::string_view(device.kName); }, state);
}

std::vector<StateSection> encode_machine_state(const MachineState& state) {
  std::vector<StateSection> sections;
  const auto add = [&sections](std::string name, const auto& part) {
    sections.push_back({std::move(name), base::encode_state(part)});
  };
  const auto add_by_name = [&add](const auto& part) { add(std::string(part.kName), part); };
  add_by_name(header_of(state));
  add_by_name(state.vm);
  for (std::size_t i = 0; i < state.vcpus.size(); ++i) add(vcpu_section(i), state.vcpus[i]);
  const auto& [uart, i8042, rtc, pv_panic, acpi_pm, vm_gen_id] = state.platform;
  add_by_name(uart);
  add_by_name(i8042);
  add_by_name(rtc);
  add_by_name(pv_panic);
  add_by_name(acpi_pm);
  add_by_name(vm_gen_id);
  add_by_name(state.pci.root);
  for (std::size_t i = 0; i < state.pci.functions.size(); ++i) {
    const auto& function = state.pci.functions[i];
    std::visit([&](const auto& device) { add(function_section(i, device.kName), device); },
               function.device);
    add(function_section(i, devices::VirtioPciState::kName), function.transport);
  }
  return sections;
}

base::Result<MachineState> decode_machine_state(std::span<const StateSection> sections) {
  SectionReader reader(sections);
  HeaderState header;
  TRY(reader.take(header));
  MachineState state;
  state.layout = header.layout;
  state.memory_bytes = header.memory_bytes;
  state.host = std::move(header.host);
  TRY(reader.take(state.vm));
  state.vcpus.resize(header.cpus);
  for (std::size_t i = 0; i < state.vcpus.size(); ++i) {
    TRY(reader.take(vcpu_section(i), state.vcpus[i]));
  }
  TRY(take_platform(reader, state.platform));
  TRY(take_pci(reader, header, state.pci));
  TRY(reader.finish());
  return state;
}

}  // namespace stasis::vmm
