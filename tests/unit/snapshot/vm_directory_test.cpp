#include "snapshot/vm_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
namespace fs = std::filesystem;

class Root {
 public:
  Root() {
    char name[] = "/tmp/stasis-vms-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~Root() { fs::remove_all(path); }
  std::string path;
};

VmConfig small(const std::string& name) {
  VmConfig config;
  config.id = "01234567-89AB-CDEF-0123-456789ABCDEF";
  config.created_unix_us = 5;
  config.machine.name = name;
  config.machine.kernel = "/boot/vmlinuz";
  return config;
}

void write(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

TEST_CASE("a new machine is there, for its owner only, and locked") {
  Root root;
  const auto made = VmDirectory::create(root.path, small("web1"));
  REQUIRE(made);
  const std::string path = root.path + "/vms/web1";
  CHECK(made->first.path() == path);
  for (const char* folder : {"", "/disks", "/snapshots"}) {
    CHECK((fs::status(path + folder).permissions() & fs::perms::all) == fs::perms::owner_all);
  }
  CHECK(made->first.config()->machine.kernel == "/boot/vmlinuz");
  const auto opened = VmDirectory::open(root.path, "web1");
  REQUIRE(opened);
  const auto second = opened->lock();
  REQUIRE_FALSE(second);
  CHECK(second.error().kind() == ErrorKind::kBusy);
  CHECK(second.error().message().find(fmt::format("process {};", ::getpid())) != std::string::npos);
  CHECK(opened->holder().value() == ::getpid());
}

TEST_CASE("a name is given once, and creation leaves nothing hidden") {
  Root root;
  REQUIRE(VmDirectory::create(root.path, small("web1")));
  const auto again = VmDirectory::create(root.path, small("web1"));
  REQUIRE_FALSE(again);
  CHECK(again.error().kind() == ErrorKind::kInvalidState);
  CHECK(again.error().message().find("stasis start web1") != std::string::npos);
  CHECK(std::distance(fs::directory_iterator(root.path + "/vms"), {}) == 1);
  CHECK_FALSE(VmDirectory::create(root.path, small("../web2")));
}

TEST_CASE("a lock ends with its holder") {
  Root root;
  { REQUIRE(VmDirectory::create(root.path, small("web1"))); }
  const auto directory = VmDirectory::open(root.path, "web1");
  CHECK(directory->holder().value() == std::nullopt);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = directory->lock();
    ::_exit(lock && directory->holder()->value() == ::getpid() ? 0 : 1);
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  CHECK(directory->lock());
}

TEST_CASE("who holds a lock is told, whatever number the holder before had") {
  Root root;
  REQUIRE(VmDirectory::create(root.path, small("web1")));
  std::ofstream(root.path + "/vms/web1/lock") << GENERATE("2147483647\n", "1\n", "");
  const auto directory = VmDirectory::open(root.path, "web1");
  const auto lock = directory->lock();
  REQUIRE(lock);
  CHECK(directory->holder().value() == ::getpid());
}

TEST_CASE("machines are listed by name; what is none is passed over") {
  Root root;
  CHECK(VmDirectory::list(root.path)->empty());
  for (const char* name : {"b", "a"}) REQUIRE(VmDirectory::create(root.path, small(name)));
  fs::create_directory(root.path + "/vms/.new-1");
  write(root.path + "/vms/file", "");
  CHECK(*VmDirectory::list(root.path) == std::vector<std::string>{"a", "b"});
  const auto missing = VmDirectory::open(root.path, "c");
  REQUIRE_FALSE(missing);
  CHECK(missing.error().kind() == ErrorKind::kNotFound);
  CHECK(missing.error().message().find("there are: a, b") != std::string::npos);
  REQUIRE(VmDirectory::create(root.path, small("c")));
  CHECK_FALSE(fs::exists(root.path + "/vms/.new-1"));
}

TEST_CASE("a removed machine is gone, and so is the lock of who came too late") {
  Root root;
  auto made = VmDirectory::create(root.path, small("web1"));
  const auto late = VmDirectory::open(root.path, "web1");
  write(made->first.snapshots_path() + "/x", "content");
  CHECK(std::move(made->first).remove(std::move(made->second)));
  CHECK(fs::is_empty(root.path + "/vms"));
  const auto lock = late->lock();
  REQUIRE_FALSE(lock);
  CHECK(lock.error().kind() == ErrorKind::kNotFound);
  CHECK(VmDirectory::create(root.path, small("web1")));
}

TEST_CASE("a root too deep for its sockets is refused before anything is made") {
  Root root;
  const auto made = VmDirectory::create(root.path + '/' + std::string(90, 'x'), small("web1"));
  REQUIRE_FALSE(made);
  CHECK(made.error().message().find("STASIS_ROOT") != std::string::npos);
  CHECK(fs::is_empty(root.path));
}

TEST_CASE("the present is kept, and absent for a machine without snapshots") {
  Root root;
  const auto made = VmDirectory::create(root.path, small("web1"));
  CHECK(*made->first.present() == Present{});
  Present present;
  present.disks = {{"disk0",
                    {{"/images/root.img", PresentLayer::Format::kRaw},
                     {"disks/a.qcow2", PresentLayer::Format::kQcow2}}}};
  present.current = present.saved_from = small("x").id;
  fs::create_directory(made->first.snapshots_path() + "/" + present.current);
  REQUIRE(made->first.save_present(present));
  CHECK(*made->first.present() == present);
}

TEST_CASE("a file that nobody can have written is refused, not believed") {
  Root root;
  const auto made = VmDirectory::create(root.path, small("web1"));
  const std::string path = made->first.path() + "/current.json";
  write(path, std::string(9 << 20, ' '));
  CHECK(made->first.present().error().message().find("at most") != std::string::npos);
  fs::remove(path);
  fs::create_symlink("/etc/hostname", path);
  CHECK_FALSE(made->first.present());
  fs::remove(path);
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(made->first.present().error().kind() == ErrorKind::kCorrupt);
}

TEST_CASE("a machine's configuration is of its name") {
  Root root;
  const auto made = VmDirectory::create(root.path, small("web1"));
  fs::rename(root.path + "/vms/web1", root.path + "/vms/web2");
  const auto other = VmDirectory::open(root.path, "web2");
  CHECK(other->config().error().message() ==
        "machine \"web2\": config.json: is of machine \"web1\"");
}

TEST_CASE("a run without an end has crashed, of what its note says") {
  Root root;
  const auto made = VmDirectory::create(root.path, small("web1"));
  CHECK(made->first.settled_run_record().value() == std::nullopt);
  RunRecord record{1234, 5, 0, RunEnd::kNone, ""};
  REQUIRE(made->first.save_run_record(record));
  CHECK(made->first.settled_run_record().value()->detail.find("SIGKILL?") != std::string::npos);
  const auto note = made->first.open_crash_note();
  REQUIRE(::write(note->get(), "SIGSEGV\n", 8) == 8);
  CHECK(made->first.settled_run_record().value()->detail == "its process died: SIGSEGV");
  CHECK(made->first.settled_run_record().value()->end == RunEnd::kCrashed);
  record.end = RunEnd::kPowerOff;
  record.ended_unix_us = 9;
  REQUIRE(made->first.save_run_record(record));
  CHECK(made->first.settled_run_record().value() == record);
}

}  // namespace
}  // namespace stasis::snapshot
