#include "cli/rotating_log.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace stasis::cli {
namespace {

namespace fs = std::filesystem;

class Folder {
 public:
  Folder() {
    char name[] = "/tmp/stasis-log-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Folder() { fs::remove_all(path); }
  std::string path;
};

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(RotatingLog& log, const std::string& text) {
  log.write({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

TEST_CASE("a log goes on where the run before ended, for its owner only") {
  Folder folder;
  const std::string path = folder.path + "/log";
  for (const char* text : {"one ", "two"}) write(**RotatingLog::append_to(path), text);
  CHECK(content(path) == "one two");
  CHECK((fs::status(path).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
}

TEST_CASE("a log that is full begins anew and keeps the one before") {
  Folder folder;
  const std::string path = folder.path + "/log";
  write(**RotatingLog::append_to(path, 8), "1234");
  const auto log = RotatingLog::append_to(path, 8);
  for (const char* text : {"5678", "abcdefgh", "x"}) write(**log, text);
  CHECK(content(path) == "x");
  CHECK(content(path + ".1") == "abcdefgh");
}

TEST_CASE("a log is no link to elsewhere") {
  Folder folder;
  fs::create_symlink("/etc/hostname", folder.path + "/log");
  CHECK_FALSE(RotatingLog::append_to(folder.path + "/log"));
}

}  // namespace
}  // namespace stasis::cli
