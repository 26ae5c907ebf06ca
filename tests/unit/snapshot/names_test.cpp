#include "snapshot/names.h"

#include <catch2/catch.hpp>
#include <string>

using stasis::snapshot::check_snapshot_name;
using stasis::snapshot::check_vm_name;

TEST_CASE("A machine's name is a safe folder name") {
  CHECK(check_vm_name("web1"));
  CHECK(check_vm_name("a.b_c-d"));
  CHECK(check_vm_name(std::string(64, 'x')));
  CHECK_FALSE(check_vm_name(std::string(65, 'x')));
  for (const char* bad : {"", ".", "..", ".hidden", "a/b", "a b", "-x", "ü", "a\n"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_vm_name(bad));
  }
}

TEST_CASE("A snapshot's name is at most 100 characters, not bytes") {
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ü";
  CHECK(check_snapshot_name(umlauts));
  CHECK_FALSE(check_snapshot_name(umlauts + "u"));
}

TEST_CASE("A snapshot's name is text of one line") {
  CHECK(check_snapshot_name("before the upgrade (2)"));
  for (const char* bad : {"", "   ", "a\nb", "a\x7F", "\x01", "\xC3", "\xC0\x80", "\xED\xA0\x80",
                          "\xF5\x80\x80\x80", "\xE2\x28\xA1"}) {
    CAPTURE(bad);
    CHECK_FALSE(check_snapshot_name(bad));
  }
}
