#include "snapshot/mapping_plan.h"

#include <catch2/catch.hpp>
#include <random>

namespace stasis::snapshot {
namespace {

constexpr RamRun kAll{0, 1 << 20};

TEST_CASE("runs far apart are mapped one by one, close ones together") {
  CHECK(plan_mappings({}, kAll).empty());
  const std::vector<RamRun> runs{{10, 5}, {15, 1}, {30, 2}, {32 + kMinGapPages, 1}, {1000, 1}};
  CHECK(plan_mappings(runs, kAll) ==
        std::vector<RamRun>{{10, 22}, {32 + kMinGapPages, 1}, {1000, 1}});
}

TEST_CASE("a region gets its part of a run") {
  const std::vector<RamRun> runs{{10, 20}, {100, 50}};
  CHECK(plan_mappings(runs, {15, 90}) == std::vector<RamRun>{{15, 15}, {100, 5}});
  CHECK(plan_mappings(runs, {40, 10}).empty());
}

TEST_CASE("many runs need few mappings, which cover each page") {
  std::mt19937 random(1);
  const bool is_regular = GENERATE(true, false);
  std::vector<RamRun> runs;
  std::uint64_t page = 3;
  while (page < kAll.page_count - 200) {
    const std::uint64_t count = is_regular ? 1 : 1 + random() % 40;
    runs.push_back({page, count});
    page += count + (is_regular ? 20 : 1 + random() % 100);
  }
  const auto plan = plan_mappings(runs, kAll);
  CHECK(plan.size() <= kMaxMappings);
  CHECK(plan.size() >= (is_regular ? 1 : kMaxMappings / 2));
  std::size_t place = 0;
  for (const RamRun& run : runs) {
    while (place < plan.size() && plan[place].end_page() < run.end_page()) ++place;
    REQUIRE(place < plan.size());
    REQUIRE(plan[place].first_page <= run.first_page);
  }
}

}  // namespace
}  // namespace stasis::snapshot
