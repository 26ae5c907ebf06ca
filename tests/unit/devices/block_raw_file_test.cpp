#include "devices/block/raw_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <chrono>
#include <cstdio>
#include <thread>

#include "tests/unit/devices/block_qemu_img.h"
#include "tests/unit/devices/block_test_support.h"

namespace stasis::devices {
namespace {

using namespace testing;

using Catch::Matchers::Contains;

/// The message with which `path` is refused.
std::string refusal(const std::string& path, base::ErrorKind kind, bool read_only = false) {
  const auto file = open_raw_file(path, read_only);
  REQUIRE_FALSE(file.has_value());
  CHECK(file.error().kind() == kind);
  CHECK_THAT(file.error().message(), Contains("disk \"" + path + "\": "));
  return file.error().message();
}

TEST_CASE("a raw file is measured and identified") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  const auto file = open_raw_file(path, false).value();
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK(file.info.size_bytes == 1 << 20);
  CHECK(file.info.block_size == 512);
  CHECK_FALSE(file.info.read_only);
  CHECK_FALSE(file.is_device);
  CHECK(file.info.identity == ImageIdentity{status.st_dev, status.st_ino});
}

TEST_CASE("a missing disk names the command that makes one") {
  const TemporaryFolder folder;
  const std::string path = folder / "x.img";
  CHECK_THAT(refusal(path, base::ErrorKind::kNotFound),
             Contains("not found; create it with: truncate -s 1G " + path));
}

TEST_CASE("a size that is zero or not whole sectors is refused with the remedy") {
  const TemporaryFolder folder;
  CHECK_THAT(refusal(folder.make_file("empty", 0), base::ErrorKind::kInvalidArgument),
             Contains("is empty; give it a size with: truncate"));
  CHECK_THAT(refusal(folder.make_file("odd", 1000), base::ErrorKind::kInvalidArgument),
             Contains("size 1000 is not a multiple of 512 bytes; pad it with: truncate -s %512"));
}

TEST_CASE("what is not a disk is refused without waiting for it") {
  const TemporaryFolder folder;
  const std::string pipe = folder / "pipe";
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THAT(refusal(folder / ".", base::ErrorKind::kInvalidArgument), Contains("is a directory"));
  CHECK_THAT(refusal(pipe, base::ErrorKind::kInvalidArgument), Contains("is a pipe"));
  CHECK_THAT(refusal("/dev/null", base::ErrorKind::kInvalidArgument),
             Contains("is a character device; a disk is a regular file or a block device"));
}

TEST_CASE("a file that begins like another format is refused with the conversion") {
  using namespace std::string_view_literals;
  const auto [magic, name, qemu_name] = GENERATE(table<std::string_view, std::string, std::string>({
      {"QFI\xfb"sv, "qcow2", "qcow2"},
      {"KDMV"sv, "vmdk", "vmdk"},
      {"# Disk DescriptorFile\n"sv, "vmdk", "vmdk"},
      {"vhdxfile"sv, "vhdx", "vhdx"},
      {"conectix"sv, "vhd", "vpc"},
  }));
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20, magic);
  CHECK_THAT(refusal(path, base::ErrorKind::kInvalidArgument),
             Contains("is a " + name + " image, not a raw one; convert it with: qemu-img convert " +
                      "-f " + qemu_name + " -O raw " + path));
}

TEST_CASE("a disk in use for writing is refused to everybody") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  auto holder = open_raw_file(path, false).value();
  const bool read_only = GENERATE(false, true);
  CHECK_THAT(refusal(path, base::ErrorKind::kBusy, read_only),
             Contains("in use by another process") && Contains("fuser -v " + path));
  holder.fd.reset();
  CHECK(open_raw_file(path, read_only).has_value());
}

TEST_CASE("readers share a disk and keep writers out") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  const auto reader = open_raw_file(path, true).value();
  CHECK(reader.info.read_only);
  CHECK(open_raw_file(path, true).has_value());
  refusal(path, base::ErrorKind::kBusy);
}

TEST_CASE("QEMU reads what we read, and writes nothing that we use") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  const bool read_only = GENERATE(false, true);
  const auto file = open_raw_file(path, read_only).value();
  CHECK((qemu_tool("qemu-io -r -f raw -c 'read -q 0 512' " + path).status == 0) == read_only);
  CHECK(qemu_tool("qemu-io -f raw -c 'write -q 0 512' " + path).status != 0);
}

/// Whether anybody has any lock on it; takes none.
bool is_locked(const std::string& path) {
  const base::Fd fd = base::open_file(path, O_RDWR).value();
  struct flock request {};
  request.l_type = F_WRLCK;
  REQUIRE(::fcntl(fd.get(), F_OFD_GETLK, &request) == 0);
  return request.l_type != F_UNLCK;
}

TEST_CASE("what QEMU writes is in use, what it reads can be read") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  const bool writes = GENERATE(false, true);
  const std::string mode = writes ? "-f raw" : "-r -f raw";
  const std::string command = "qemu-io " + mode + " " + path + " >/dev/null";
  FILE* qemu = ::popen(command.c_str(), "w");  // ends with its input
  REQUIRE(qemu != nullptr);
  while (!is_locked(path)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  CHECK(open_raw_file(path, true).has_value() == !writes);
  ::pclose(qemu);
  CHECK(open_raw_file(path, false).has_value());
}

TEST_CASE("a lock that is given up soon is waited for") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  auto holder = open_raw_file(path, false).value();
  std::thread release([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    holder.fd.reset();
  });
  CHECK(open_raw_file(path, false).has_value());
  release.join();
}

TEST_CASE("a holder whose process the kernel knows is named") {
  const TemporaryFolder folder;
  const std::string path = folder.make_file("x.img", 1 << 20);
  int ready[2];
  REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
    struct flock request {};
    request.l_type = F_WRLCK;
    const char answer = ::fcntl(fd, F_SETLK, &request) == 0 ? 'y' : 'n';
    [[maybe_unused]] const auto written = ::write(ready[1], &answer, 1);
    ::pause();
    ::_exit(0);
  }
  char answer = 0;
  const bool is_ready = ::read(ready[0], &answer, 1) == 1 && answer == 'y';
  const auto file = open_raw_file(path, false);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  REQUIRE(is_ready);
  REQUIRE_FALSE(file.has_value());
  CHECK_THAT(file.error().message(), Contains("in use by process " + std::to_string(child)));
}

}  // namespace
}  // namespace stasis::devices
