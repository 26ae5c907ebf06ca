#include "cli/command_line.h"

#include <catch2/catch.hpp>

namespace stasis::cli {
namespace {

constexpr OptionSpec kOptions[] = {
    {"kernel", "FILE", ""},
    {"disk", "FILE", "", true},
    {"json", "", ""},
};

base::Result<CommandLine> parse(std::vector<const char*> arguments) {
  return CommandLine::parse(kOptions, arguments);
}

std::string parse_refusal(const std::vector<const char*>& arguments) {
  const auto line = parse(arguments);
  return line ? "" : line.error().message();
}

TEST_CASE("values come after a space or an equals sign") {
  CHECK(*parse({"--kernel", "a"})->value("kernel") == "a");
  CHECK(*parse({"--kernel=a=b"})->value("kernel") == "a=b");
  CHECK(parse({})->value("kernel") == nullptr);
}

TEST_CASE("a repeatable option keeps its values in order") {
  const auto line = parse({"--disk", "a,ro", "--kernel", "k", "--disk", "[b]"});
  REQUIRE(line);
  const auto disks = line->values("disk");
  REQUIRE(disks.size() == 2);
  CHECK(disks[0] == "a,ro");
  CHECK(disks[1] == "[b]");
  CHECK(line->values("kernel").size() == 1);
  CHECK(line->values("json").empty());
}

TEST_CASE("a flag is there or not") {
  CHECK(parse({"--json"})->has("json"));
  CHECK_FALSE(parse({})->has("json"));
}

TEST_CASE("a negative number is a value") {
  CHECK(*parse({"--kernel", "-1"})->value("kernel") == "-1");
}

TEST_CASE("arguments that do not fit are refused by name") {
  CHECK(parse_refusal({"--kernle", "a"}) ==
        "unknown option \"--kernle\"; did you mean --kernel? (valid: --kernel, --disk, --json)");
  CHECK(parse_refusal({"--frobnicate=3"}) ==
        "unknown option \"--frobnicate\"; valid: --kernel, --disk, --json");
  CHECK(parse_refusal({"a"}) == "unexpected argument \"a\"; options begin with --");
  CHECK(parse_refusal({"-k"}) == "unexpected argument \"-k\"; options begin with --");
  CHECK(parse_refusal({"--"}) == "unexpected argument \"--\"; options begin with --");
  CHECK(parse_refusal({"--disk", "a", "b"}) == "unexpected argument \"b\"; options begin with --");
}

TEST_CASE("arguments have their places between options") {
  constexpr ArgumentSpec kArguments[] = {{"VM"}, {"NAME", true}};
  const auto parse_both = [&](const std::vector<const char*>& words) {
    return CommandLine::parse(kOptions, words, kArguments);
  };
  const auto line = parse_both({"web1", "--json", "before"});
  REQUIRE(line);
  CHECK(*line->argument("VM") == "web1");
  CHECK(*line->argument("NAME") == "before");
  CHECK(line->has("json"));
  CHECK(parse_both({"web1"})->argument("NAME") == nullptr);
  CHECK(parse_both({"--json"}).error().message() == "no VM; write VM");
  CHECK(parse_both({"a", "b", "c"}).error().message() ==
        "unexpected argument \"c\"; options begin with --");
  CHECK(parse_both({""}).error().message() == "VM: empty");
  CHECK(parse_both({"--jsn", "a"}).error().message().starts_with("unknown option \"--jsn\""));
}

TEST_CASE("short forms and optional values") {
  constexpr OptionSpec kMore[] = {{"all", "", "", false, 'a'},
                                  {"compress", "LEVEL", "", false, 0, true}};
  const auto parse_more = [&](const std::vector<const char*>& words) {
    return CommandLine::parse(kMore, words);
  };
  CHECK(parse_more({"-a"})->has("all"));
  CHECK(parse_more({"--compress"})->has("compress"));
  CHECK(parse_more({"--compress"})->value("compress") == nullptr);
  CHECK(*parse_more({"--compress=7"})->value("compress") == "7");
  CHECK(*parse_more({"--compress=x"})->value("compress") == "x");
}

TEST_CASE("a missing value is said with how to write it") {
  const std::string expected = "--kernel: no value; write --kernel FILE";
  CHECK(parse_refusal({"--kernel"}) == expected);
  CHECK(parse_refusal({"--kernel="}) == expected);
  CHECK(parse_refusal({"--kernel", ""}) == expected);
  CHECK(parse_refusal({"--kernel", "--disk", "x"}) == expected);
}

TEST_CASE("an option given too often is refused") {
  CHECK(parse_refusal({"--kernel", "a", "--kernel", "b"}) ==
        "--kernel: given 2 times; give it once");
}

TEST_CASE("a flag takes no value") {
  CHECK(parse_refusal({"--json=maybe"}) == "--json: takes no value; write --json alone");
  CHECK(parse_refusal({"--json=false"}) == "--json: takes no value; write --json alone");
}

}  // namespace
}  // namespace stasis::cli
