#include "snapshot/state_file.h"

#include <catch2/catch.hpp>

namespace stasis::snapshot {
namespace {

const std::vector<vmm::StateSection> kSections{{"vm", {0xA0}}, {"vcpu.0", {1, 2, 3}}, {"", {}}};

TEST_CASE("sections come back as they were, in their order") {
  const auto bytes = encode_state_file(kSections);
  const auto decoded = decode_state_file(bytes);
  REQUIRE(decoded);
  CHECK(*decoded == kSections);
  CHECK(encode_state_file(*decoded) == bytes);
}

TEST_CASE("a state file that is cut off anywhere is refused") {
  const auto bytes = encode_state_file(kSections);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_state_file(std::span(bytes).first(size)));
  }
}

}  // namespace
}  // namespace stasis::snapshot
