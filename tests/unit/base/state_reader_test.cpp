#include "base/state_reader.h"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <random>

namespace stasis::base {
namespace {

using Json = nlohmann::json;
using Bytes = std::vector<std::uint8_t>;

std::string message_of(const Bytes& bytes) {
  const auto item = StateReader::parse(bytes);
  return item ? "" : item.error().message();
}

constexpr const char* kNone = "not one complete CBOR item of at most 32 levels";

TEST_CASE("numbers are read at every width") {
  for (const std::uint64_t value : {0ULL, 23ULL, 24ULL, 0xFFULL, 0x100ULL, 0xFFFFULL, 0x1'0000ULL,
                                    0xFFFF'FFFFULL, 0x1'0000'0000ULL, 1ULL << 63, ~0ULL}) {
    const Bytes bytes = Json::to_cbor(Json(value));
    const auto item = StateReader::parse(bytes);
    REQUIRE(item);
    CHECK(item->as_unsigned() == value);
    CHECK(item->as_signed().has_value() == (value <= INT64_MAX));
  }
  for (const std::int64_t value :
       {-1LL, -24LL, -25LL, -256LL, -65'537LL, -(1LL << 40), static_cast<long long>(INT64_MIN)}) {
    const Bytes bytes = Json::to_cbor(Json(value));
    const auto item = StateReader::parse(bytes);
    REQUIRE(item);
    CHECK(item->as_signed() == value);
    CHECK(item->as_unsigned().error().message() == "is number, not an unsigned number");
  }
}

TEST_CASE("of what is nested, each is found where it lies") {
  const Json whole = {{"a", {1, "two", {{"three", true}}}}, {"b", Json::binary({7, 8})}};
  const Bytes bytes = Json::to_cbor(whole);
  const auto item = StateReader::parse(bytes);
  REQUIRE(item);
  const auto members = item->as_map();
  REQUIRE(members);
  REQUIRE(members->all().size() == 2);
  CHECK(members->all()[0].name == "a");
  const auto list = members->find("a")->as_array();
  REQUIRE(list);
  REQUIRE(list->size() == 3);
  CHECK((*list)[0].as_unsigned() == 1);
  CHECK((*list)[1].as_text() == "two");
  CHECK((*list)[2].as_map()->find("three")->as_bool() == true);
  const auto bytes_of_b = members->find("b")->as_bytes();
  REQUIRE(bytes_of_b);
  CHECK(Bytes(bytes_of_b->begin(), bytes_of_b->end()) == Bytes{7, 8});
  CHECK(members->find("c") == nullptr);
  CHECK((*list)[0].as_map().error().message() == "is number, not a map");
}

TEST_CASE("of two members of one name the later one counts") {
  const Bytes bytes{0xA2, 0x61, 'a', 1, 0x61, 'a', 2};
  CHECK(StateReader::parse(bytes)->as_map()->find("a")->as_unsigned() == 2);
}

TEST_CASE("a wrong type is named") {
  const auto told = [](const Bytes& bytes) {
    const auto item = StateReader::parse(bytes);
    REQUIRE(item);
    return item->as_bytes().error().message();
  };
  CHECK(told({0xF6}) == "is null, not a byte string");
  CHECK(told({0xF5}) == "is boolean, not a byte string");
  CHECK(told({0xF9, 0x3C, 0x00}) == "is number, not a byte string");
  CHECK(told({0x80}) == "is array, not a byte string");
  CHECK(told({0xA0}) == "is object, not a byte string");
  CHECK(told({0x60}) == "is string, not a byte string");
}

TEST_CASE("what no state has is refused") {
  CHECK(message_of({}) == kNone);
  CHECK(message_of({0x01, 0x02}) == kNone);           // something follows
  CHECK(message_of({0xC0, 0x60}) == kNone);           // a tag
  CHECK(message_of({0x9F, 0xFF}) == kNone);           // an array of open length
  CHECK(message_of({0x5F, 0x41, 1, 0xFF}) == kNone);  // bytes in pieces
  CHECK(message_of({0xA1, 0x01, 0x02}) == kNone);     // a name that is no text
  CHECK(message_of({0xF8, 0x20}) == kNone);           // an unassigned simple value
  CHECK(message_of({0x1C}) == kNone);                 // a reserved length
  CHECK(message_of({0x3B, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF}) == kNone);  // -2^64
  Bytes deep(32, 0x81);
  deep.push_back(0x00);
  CHECK(message_of(deep).empty());
  deep.insert(deep.begin(), 0x81);
  CHECK(message_of(deep) == kNone);
}

/// The other implementation refuses all that this one does, and more is refused here only of what
/// the test above has.
TEST_CASE("damaged items are refused or accepted as by another reader") {
  const Json whole = {{"list", {1, -2, 300, true, nullptr, "text"}},
                      {"bytes", Json::binary({1, 2, 3})},
                      {"map", {{"x", 1ULL << 40}, {"y", {{"z", 2.5}}}}}};
  const Bytes sound = Json::to_cbor(whole);
  std::mt19937 random(1);
  unsigned accepted = 0;
  for (int i = 0; i < 20'000; ++i) {
    Bytes bytes = sound;
    for (auto n = 1 + random() % 3; n > 0; --n) {
      bytes[random() % bytes.size()] = static_cast<std::uint8_t>(random());
    }
    if (!StateReader::parse(bytes)) continue;
    ++accepted;
    CHECK_FALSE(Json::from_cbor(bytes, true, false).is_discarded());
  }
  CHECK(accepted > 100);
}

}  // namespace
}  // namespace stasis::base
