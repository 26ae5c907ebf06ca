#include "cli/snapshot_choice.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

using base::ErrorKind;
using snapshot::SnapshotInfo;

SnapshotInfo make(const std::string& id, const std::string& name, const std::string& parent = "") {
  SnapshotInfo info;
  info.id = id;
  info.name = name;
  info.parent = parent;
  info.has_memory = true;
  return info;
}

const std::string kFirst = "AAAA1111-0000-4000-8000-000000000001";
const std::string kSecond = "AAAA2222-0000-4000-8000-000000000002";
const std::string kThird = "BBBB3333-0000-4000-8000-000000000003";

TEST_CASE("a snapshot is named by id, name or the beginning of its id") {
  const std::vector<SnapshotInfo> all = {make(kFirst, "one"), make(kSecond, "two"),
                                         make(kThird, "AAAA1")};
  CHECK(choose_snapshot(all, kSecond)->id == kSecond);
  CHECK(choose_snapshot(all, "bbbb3333-0000-4000-8000-000000000003")->id == kThird);
  CHECK(choose_snapshot(all, "two")->id == kSecond);
  CHECK(choose_snapshot(all, "bbbb")->id == kThird);
  CHECK(choose_snapshot(all, "AAAA1")->id == kThird);  // a name goes before a beginning
  CHECK(choose_snapshot(all, "AAAA").error().kind() == ErrorKind::kInvalidArgument);
  CHECK(choose_snapshot(all, "BBB").error().kind() == ErrorKind::kNotFound);
  CHECK(choose_snapshot(all, "tow").error().message() ==
        "snapshot \"tow\": not found; did you mean two? (valid: one, two, AAAA1)");
}

TEST_CASE("a name that several snapshots have needs an id") {
  const auto chosen = choose_snapshot({make(kFirst, "one"), make(kThird, "one")}, "one");
  REQUIRE_FALSE(chosen);
  CHECK(chosen.error().message() ==
        "snapshot \"one\": there are 2; give an id: " + kFirst + ", " + kThird);
}

/// Where each line's id stands.
std::vector<std::size_t> depths(const std::string& text, const std::vector<std::string>& ids) {
  std::vector<std::size_t> places;
  for (const std::string& id : ids) {
    const std::size_t at = text.find(id.substr(0, 8));
    REQUIRE(at != std::string::npos);
    const std::size_t line = text.rfind('\n', at);
    places.push_back(at - (line == std::string::npos ? 0 : line + 1));
  }
  return places;
}

TEST_CASE("a tree shows each snapshot below its parent, the present marked") {
  const std::vector<SnapshotInfo> all = {make(kFirst, "one"), make(kSecond, "two"),
                                         make(kThird, "three", kFirst)};
  const std::string text = snapshots_text(all, true, kThird);
  CHECK(depths(text, {kFirst, kThird, kSecond}) == std::vector<std::size_t>{2, 4, 2});
  CHECK(text.find(kThird.substr(0, 8)) < text.find(kSecond.substr(0, 8)));
  CHECK(text.find("\n*   BBBB3333") != std::string::npos);
  CHECK(depths(snapshots_text(all, false, kThird), {kFirst, kSecond, kThird}) ==
        std::vector<std::size_t>{2, 2, 2});
}

TEST_CASE("a tree with a lost parent shows all of it") {
  const std::string text = snapshots_text({make(kFirst, "one", kSecond)}, true, "");
  CHECK(depths(text, {kFirst}) == std::vector<std::size_t>{2});
}

TEST_CASE("what a capture cost, in one line") {
  CHECK(capture_text({"fork", 1234, 56'789, 3 << 20, 1 << 20}) ==
        "engine fork, paused 1.23 ms, captured 3 MiB, stored 1 MiB, 57 ms in all");
}

}  // namespace
}  // namespace stasis::cli
