#include "tests/fuzz/fuzz_machine_state.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "vmm/host_needs.h"
#include "vmm/machine_state.h"

namespace stasis::fuzz {
namespace {

std::span<const std::uint8_t> take(std::span<const std::uint8_t>& input, std::size_t size) {
  const auto part = input.first(std::min(size, input.size()));
  input = input.subspan(part.size());
  return part;
}

std::size_t take_length(std::span<const std::uint8_t>& input, unsigned width) {
  std::size_t length = 0;
  unsigned shift = 0;
  for (const std::uint8_t byte : take(input, width)) {
    length |= std::size_t{byte} << shift;
    shift += 8;
  }
  return length;
}

}  // namespace

void fuzz_machine_state(std::span<const std::uint8_t> input) {
  std::vector<vmm::StateSection> sections;
  while (!input.empty()) {
    const auto name = take(input, take_length(input, 1));
    const auto cbor = take(input, take_length(input, 2));
    sections.push_back({std::string(name.begin(), name.end()), {cbor.begin(), cbor.end()}});
  }
  const auto state = vmm::decode_machine_state(sections);
  if (!state) return;
  const auto again = vmm::decode_machine_state(vmm::encode_machine_state(*state));
  STASIS_CHECK(again && *again == *state);
  STASIS_CHECK(!vmm::host_needs(*state).cpuid.empty());
}

}  // namespace stasis::fuzz
