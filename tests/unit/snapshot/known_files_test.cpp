#include "snapshot/known_files.h"

#include <catch2/catch.hpp>
#include <string>

namespace stasis::snapshot {
namespace {

FileIdentity identity(ino_t inode, off_t size = 1, long changed_ns = 1) {
  struct stat status {};
  status.st_ino = inode;
  status.st_size = size;
  status.st_ctim.tv_nsec = changed_ns;
  return FileIdentity(status);
}

TEST_CASE("what was read of a file is known until it is another file or was changed") {
  KnownFiles<std::string> known;
  CHECK_FALSE(known.find("a", identity(7)));
  known.keep("a", identity(7), "contents");
  CHECK(known.find("a", identity(7)) == "contents");
  CHECK_FALSE(known.find("b", identity(7)));
  CHECK_FALSE(known.find("a", identity(8)));
  CHECK_FALSE(known.find("a", identity(7, 2)));
  CHECK_FALSE(known.find("a", identity(7, 1, 2)));
  known.keep("a", identity(8), "new contents");
  CHECK(known.find("a", identity(8)) == "new contents");
  CHECK_FALSE(known.find("a", identity(7)));
}

TEST_CASE("files that are gone are forgotten") {
  KnownFiles<int> known;
  for (const char* key : {"a", "b", "c"}) known.keep(key, identity(1), 1);
  known.forget("a");
  known.keep_only([](const std::string& key) { return key == "c"; });
  CHECK_FALSE(known.find("a", identity(1)));
  CHECK_FALSE(known.find("b", identity(1)));
  CHECK(known.find("c", identity(1)) == 1);
}

}  // namespace
}  // namespace stasis::snapshot
