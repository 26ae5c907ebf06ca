#include "tests/fuzz/fuzz_state_codec.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/state_codec.h"

namespace stasis::fuzz {
namespace {

struct InnerState {
  std::int16_t level = 0;
  std::vector<std::string> names;
  bool operator==(const InnerState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [l, n] = self;
    fields("level", l)("names", n);
  }
};

/// One field of each kind that the codec knows.
struct SampleState {
  static constexpr std::string_view kName = "sample";
  static constexpr std::uint32_t kVersion = 2;
  std::uint32_t number = 0;
  bool flag = false;
  std::array<std::uint16_t, 2> pair{};
  std::vector<std::uint8_t> bytes;
  std::vector<InnerState> inner;
  std::optional<std::uint64_t> maybe;
  bool operator==(const SampleState&) const = default;

  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [n, f, p, b, i, m] = self;
    fields("number", n)("flag", f)("pair", p)("bytes", b)("inner", i)("maybe", m);
  }
};

}  // namespace

void fuzz_state_codec(std::span<const std::uint8_t> input) {
  const auto state = base::decode_state<SampleState>(input);
  if (!state) return;
  const auto again = base::decode_state<SampleState>(base::encode_state(*state));
  STASIS_CHECK(again && *again == *state);
}

}  // namespace stasis::fuzz
