#include "cli/key_values.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

std::string refusal(std::string_view text) {
  const auto status =
      check_keys(split_key_values(text), {{"ro", false}, {"id", true}, {"forward", true, true}});
  return status ? "" : status.error().message();
}

TEST_CASE("items are split at commas and at the first equals sign") {
  const auto items = split_key_values("disk.img,ro,id=a=b");
  REQUIRE(items.size() == 3);
  CHECK(items[0].key == "disk.img");
  CHECK_FALSE(items[0].value);
  CHECK(items[1].key == "ro");
  CHECK(items[2].key == "id");
  CHECK(items[2].value == "a=b");
}

TEST_CASE("two commas are one of the text") {
  const auto items = split_key_values("a,,b,ro");
  REQUIRE(items.size() == 2);
  CHECK(items[0].key == "a,b");
  CHECK(items[1].key == "ro");
}

TEST_CASE("empty text is one empty item") {
  REQUIRE(split_key_values("").size() == 1);
  CHECK(split_key_values("")[0].key.empty());
  CHECK(split_key_values("a,").size() == 2);
}

TEST_CASE("keys that fit their specification pass") {
  CHECK(refusal("ro,id=x") == "");
  CHECK(refusal("forward=a,forward=b") == "");
}

TEST_CASE("keys that do not fit are refused by name") {
  CHECK(refusal("rw") == "unknown key \"rw\"; did you mean ro? (valid: ro, id, forward)");
  CHECK(refusal("cache=none") == "unknown key \"cache\"; valid: ro, id, forward");
  CHECK(refusal("") == "unknown key \"\"; valid: ro, id, forward");
  CHECK(refusal("id") == "key \"id\" has no value; write id=VALUE");
  CHECK(refusal("id=") == "key \"id\" has no value; write id=VALUE");
  CHECK(refusal("ro=1") == "key \"ro\" takes no value, not \"1\"; write ro alone");
  CHECK(refusal("id=a,id=b") == "key \"id\" is given twice; give it once");
}

}  // namespace
}  // namespace stasis::cli
