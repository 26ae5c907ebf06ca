#include "base/state_codec.h"

#include <catch2/catch.hpp>

namespace stasis::base {
namespace {

struct Inner {
  std::uint16_t x = 7;
  bool operator==(const Inner&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a] = self;
    fields("x", a);
  }
};

struct Sample {
  static constexpr std::string_view kName = "sample";
  static constexpr std::uint32_t kVersion = 2;
  std::uint8_t small = 0;
  std::int32_t negative = 0;
  bool flag = false;
  std::array<std::uint8_t, 4> bytes{};
  std::vector<Inner> inner;
  std::optional<std::uint64_t> maybe;
  std::string text;
  bool operator==(const Sample&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a, b, c, d, e, f, g] = self;
    fields("small", a)("negative", b)("flag", c)("bytes", d)("inner", e)("maybe", f)("text", g);
  }
  Status validate() const {
    if (small == 99) return fail(ErrorKind::kCorrupt, "small: 99 is not a value");
    return {};
  }
};

struct OlderSample {
  static constexpr std::string_view kName = "sample";
  static constexpr std::uint32_t kVersion = 1;
  std::uint64_t small = 300;
  bool operator==(const OlderSample&) const = default;
  template <typename Self, typename Fields>
  static void describe(Self& self, Fields& fields) {
    auto& [a] = self;
    fields("small", a);
  }
};

const Sample kFull{1, -5, true, {1, 2, 3, 4}, {{1}, {2}}, 1ULL << 63, "hi"};

TEST_CASE("a state survives its bytes, and the bytes are the same again") {
  const auto bytes = encode_state(kFull);
  const auto back = decode_state<Sample>(bytes);
  REQUIRE(back);
  CHECK(*back == kFull);
  CHECK(encode_state(*back) == bytes);
}

TEST_CASE("every cut-short state is refused") {
  const auto bytes = encode_state(kFull);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CHECK_FALSE(decode_state<Sample>(std::span(bytes).first(size)));
  }
}

TEST_CASE("a length that the input cannot hold is refused before anything is reserved") {
  // RFC 8949, section 3: 0x9B is an array, 0xBB a map, whose length is in the next eight bytes
  for (const auto head : {std::uint8_t{0x9B}, std::uint8_t{0xBB}}) {
    const std::vector<std::uint8_t> bytes{head, 0x3F, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1};
    CHECK_FALSE(decode_state<Sample>(bytes));
  }
}

TEST_CASE("items nested too deeply are refused, not followed") {
  std::vector<std::uint8_t> bytes(1'000'000, 0x81);  // arrays of one item
  bytes.push_back(0x01);
  CHECK_FALSE(decode_state<Sample>(bytes));
}

TEST_CASE("an absent field takes its reset value") {
  const auto back = decode_state<Sample>(encode_state(OlderSample{4}));
  REQUIRE(back);
  CHECK(back->small == 4);
  CHECK(back->inner.empty());
}

TEST_CASE("a newer version is refused by name") {
  const auto back = decode_state<OlderSample>(encode_state(kFull));
  REQUIRE_FALSE(back);
  CHECK(back.error().kind() == ErrorKind::kUnsupported);
  CHECK(back.error().message().find("sample: state version 2 is newer than 1") == 0);
}

TEST_CASE("a value out of range is refused with its path") {
  const auto back = decode_state<Sample>(encode_state(OlderSample{300}));
  REQUIRE_FALSE(back);
  CHECK(back.error().message() == "sample: small: is out of range");
}

TEST_CASE("validate has the last word") {
  Sample bad = kFull;
  bad.small = 99;
  const auto back = decode_state<Sample>(encode_state(bad));
  REQUIRE_FALSE(back);
  CHECK(back.error().message() == "sample: small: 99 is not a value");
}

TEST_CASE("the first difference of two items is told with its path") {
  Sample other = kFull;
  const auto told = [&] { return first_difference(encode_state(other), encode_state(kFull)); };
  CHECK_FALSE(told());
  SECTION("a number") {
    other.negative = 5;
    CHECK(told() == "fields: negative: 5, not -5");
  }
  SECTION("a byte") {
    other.bytes[2] = 0xAB;
    CHECK(told() == "fields: bytes: byte 0x2: 0xab, not 0x03");
  }
  SECTION("an item of a list") {
    other.inner[1].x = 9;
    CHECK(told() == "fields: inner: 1: x: 9, not 2");
  }
  SECTION("the length of a list") {
    other.inner.pop_back();
    CHECK(told() == "fields: inner: 1 items, not 2");
  }
  SECTION("a field that only one has") {
    other.maybe.reset();
    CHECK(told() == "fields: maybe: missing");
    CHECK(first_difference(encode_state(kFull), encode_state(other)) ==
          "fields: maybe: not expected");
  }
  SECTION("what is not CBOR") {
    const std::vector<std::uint8_t> rubbish{0xFF};
    CHECK(first_difference(rubbish, encode_state(kFull)) == "not CBOR");
  }
}

}  // namespace
}  // namespace stasis::base
