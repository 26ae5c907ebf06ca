#include "cli/time_text.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

using std::chrono::seconds;

TEST_CASE("times for programs are in UTC") {
  CHECK(utc_text(1'795'267'715'948'901) == "2026-11-21T13:28:35Z");
  CHECK(utc_text(0).empty());
  CHECK(local_text(0) == "-");
}

TEST_CASE("a duration is told in one unit") {
  CHECK(duration_text(0) == "0 s");
  CHECK(duration_text(119'999'999) == "119 s");
  CHECK(duration_text(120'000'000) == "2 min");
  CHECK(duration_text(std::uint64_t{7'200} * 1'000'000) == "2 h");
  CHECK(duration_text(std::uint64_t{172'800} * 1'000'000) == "2 d");
}

TEST_CASE("a time limit has seconds, or a unit") {
  CHECK(*parse_duration("90") == seconds(90));
  CHECK(*parse_duration("0s") == seconds(0));
  CHECK(*parse_duration("2m") == seconds(120));
  CHECK(*parse_duration("1h") == seconds(3600));
  for (const char* bad : {"", "s", "1d", "-1", "1.5m", "99999999999h", "1 m"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse_duration(bad));
  }
}

}  // namespace
}  // namespace stasis::cli
