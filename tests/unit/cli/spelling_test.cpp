#include "cli/spelling.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

constexpr std::string_view kWords[] = {"run", "doctor", "snapshot"};

TEST_CASE("the distance counts single edits and swaps") {
  CHECK(edit_distance("run", "run") == 0);
  CHECK(edit_distance("rnu", "run") == 1);
  CHECK(edit_distance("docter", "doctor") == 1);
  CHECK(edit_distance("", "run") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("only a word that is near is offered") {
  CHECK(closest("rnu", kWords) == "run");
  CHECK(closest("snapshto", kWords) == "snapshot");
  CHECK(closest("destroy", kWords).empty());
  CHECK(closest("", kWords).empty());
}

TEST_CASE("a hint names the near word and the valid ones") {
  CHECK(spelling_hint("rum", kWords, "--") ==
        "; did you mean --run? (valid: --run, --doctor, --snapshot)");
  CHECK(spelling_hint("destroy", kWords) == "; valid: run, doctor, snapshot");
}

TEST_CASE("a hint leaves a long list away when a word is near") {
  constexpr std::string_view kMany[] = {"aaa", "bbb", "ccc", "ddd", "eee", "fff"};
  CHECK(spelling_hint("aab", kMany) == "; did you mean aaa?");
  CHECK(spelling_hint("xyz", kMany) == "; valid: aaa, bbb, ccc, ddd, eee, fff");
}

}  // namespace
}  // namespace stasis::cli
