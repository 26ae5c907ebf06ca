#include "snapshot/state_file.h"

#include "base/state_codec.h"

namespace stasis::snapshot {
namespace {

struct SectionRecord {
  std::string name;
  std::vector<std::uint8_t> cbor;
  bool operator==(const SectionRecord&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [n, c] = self;
    fields("name", n)("cbor", c);
  }
};

struct StateFile {
  static constexpr std::string_view kName = "sections";
  static constexpr std::uint32_t kVersion = 1;
  std::vector<SectionRecord> sections;
  bool operator==(const StateFile&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [s] = self;
    fields("sections", s);
  }
};

}  // namespace

std::vector<std::uint8_t> encode_state_file(const std::vector<vmm::StateSection>& sections) {
  StateFile file;
  for (const auto& section : sections) file.sections.push_back({section.name, section.cbor});
  return base::encode_state(file);
}

base::Result<std::vector<vmm::StateSection>> decode_state_file(
    std::span<const std::uint8_t> bytes) {
  auto file = TRY(base::decode_state<StateFile>(bytes));
  std::vector<vmm::StateSection> sections;
  for (auto& record : file.sections) {
    sections.push_back({std::move(record.name), std::move(record.cbor)});
  }
  return sections;
}

}  // namespace stasis::snapshot
