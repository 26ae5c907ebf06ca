#include "cli/progress.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

TEST_CASE("a bar shows how much is done") {
  CHECK(progress_line("x", 64 << 20, 256 << 20, 80) ==
        "x  [#######.......................]  25%  64 MiB of 256 MiB");
  CHECK(progress_line("x", 5, 0, 80).find("  0%") != std::string::npos);
  CHECK(progress_line("x", 9, 4, 80).find("100%") != std::string::npos);
}

TEST_CASE("a bar is never wider than its terminal") {
  for (const std::size_t columns : {1U, 10U, 40U}) {
    CHECK(progress_line("creating", 1, 2, columns).size() < columns);
  }
}

}  // namespace
}  // namespace stasis::cli
