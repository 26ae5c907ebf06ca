#include "devices/console/escape_filter.h"

#include <catch2/catch.hpp>
#include <string>

namespace stasis::devices {
namespace {

struct ActionRecorder : ConsoleActions {
  void quit() override { ++quits; }
  void show_help() override { ++helps; }
  int quits = 0;
  int helps = 0;
};

struct FilterRig {
  std::string type(std::string_view keys) {
    const auto out =
        filter.filter({reinterpret_cast<const std::uint8_t*>(keys.data()), keys.size()});
    return {out.begin(), out.end()};
  }
  ActionRecorder actions;
  EscapeFilter filter{actions};
};

TEST_CASE("escape filter: ordinary keys, Ctrl-C too, are the guest's") {
  FilterRig rig;
  CHECK(rig.type("ls\r\x03x?") == "ls\r\x03x?");
  CHECK(rig.actions.quits + rig.actions.helps == 0);
}

TEST_CASE("escape filter: Ctrl-] x quits, also when the keys come one by one") {
  FilterRig rig;
  CHECK(rig.type("a\x1D").append(rig.type("xb")) == "ab");
  CHECK(rig.actions.quits == 1);
}

TEST_CASE("escape filter: Ctrl-] ? shows help") {
  FilterRig rig;
  CHECK(rig.type("\x1D?").empty());
  CHECK(rig.actions.helps == 1);
}

TEST_CASE("escape filter: Ctrl-] twice sends one") {
  FilterRig rig;
  CHECK(rig.type("\x1D\x1Dx") == "\x1Dx");
  CHECK(rig.actions.quits == 0);
}

TEST_CASE("escape filter: Ctrl-] with any other key passes both") {
  FilterRig rig;
  CHECK(rig.type("\x1Dj") == "\x1Dj");
}

}  // namespace
}  // namespace stasis::devices
