#include "cli/size_text.h"

#include <catch2/catch.hpp>
#include <string>

namespace stasis::cli {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;

TEST_CASE("a size is a number and a power of 1024") {
  CHECK(parse_size("512M").value() == 512 * kMiB);
  CHECK(parse_size("512m").value() == 512 * kMiB);
  CHECK(parse_size("512MiB").value() == 512 * kMiB);
  CHECK(parse_size("6G").value() == 6 * 1024 * kMiB);
  CHECK(parse_size("6GB").value() == 6 * 1024 * kMiB);
  CHECK(parse_size("1.5G").value() == 1536 * kMiB);
  CHECK(parse_size("0.5K").value() == 512);
  CHECK(parse_size("2T").value() == 2 * 1024 * 1024 * kMiB);
}

TEST_CASE("a size that is none is refused with its text, the reason and the remedy") {
  const auto [text, reason] = GENERATE(table<std::string, std::string>({
      {"0", "nothing at all"},
      {"0M", "nothing at all"},
      {"0.0G", "nothing at all"},
      {"-1", "negative"},
      {"-1G", "negative"},
      {"1e18", "unknown unit \"e18\""},
      {"12Q", "unknown unit \"Q\""},
      {"512", "no unit"},
      {"", "not a size"},
      {"M", "not a size"},
      {"+5M", "not a size"},
      {" 5M", "not a size"},
      {"5 M", "unknown unit \" M\""},
      {"5M ", "unknown unit \"M \""},
      {"5Mb", "unknown unit \"Mb\""},
      {"1.M", "unknown unit \".M\""},
      {"1.5.5M", "unknown unit \".5M\""},
      {"0x10M", "unknown unit \"x10M\""},
      {"0.1K", "not a whole number of bytes"},
      {"0.00000001T", "not a whole number of bytes"},
      {"99999999999999999999G", "does not fit in 64 bits"},
      {"16777216T", "does not fit in 64 bits"},
  }));
  INFO(text);
  const auto size = parse_size(text);
  REQUIRE_FALSE(size);
  CHECK(size.error().message() ==
        "\"" + text + "\": " + reason + "; write a number and K, M, G or T, such as 512M");
}

TEST_CASE("the largest size that fits is taken") {
  CHECK(parse_size("16777215T").value() == 16777215ULL << 40);
  CHECK(parse_size("18014398509481983K").value() == UINT64_MAX - 1023);
}

TEST_CASE("sizes are written with the largest unit and one decimal") {
  CHECK(format_size(0) == "0 bytes");
  CHECK(format_size(1023) == "1023 bytes");
  CHECK(format_size(256 * kMiB) == "256 MiB");
  CHECK(format_size(1536 * kMiB) == "1.5 GiB");
  CHECK(format_size(UINT64_MAX) == "15.9 EiB");
}

TEST_CASE("a number is digits only and in range") {
  CHECK(parse_number("1", 1, 32).value() == 1);
  CHECK(parse_number("32", 1, 32).value() == 32);
  for (const char* text : {"0", "33", "99999999999999999999"}) {
    CHECK(parse_number(text, 1, 32).error().message() ==
          std::string("\"") + text + "\": out of range; give a number from 1 to 32");
  }
  for (const char* text : {"", "-1", "+1", "2.5", "two", "1 ", " 1", "0x1"}) {
    CHECK(parse_number(text, 1, 32).error().message() ==
          std::string("\"") + text + "\": not a whole number; give a number from 1 to 32");
  }
}

}  // namespace
}  // namespace stasis::cli
