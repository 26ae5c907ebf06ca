#include "devices/block/layered_disk.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

#include "tests/unit/devices/block_qemu_img.h"
#include "tests/unit/devices/block_test_support.h"

namespace stasis::devices {
namespace {

using namespace testing;

constexpr std::uint64_t kDiskSize = 4 << 20;

ImageLayer raw(const std::string& path) {
  return {path, ImageFormat::kRaw};
}

ImageLayer qcow2(const std::string& path) {
  return {path, ImageFormat::kQcow2};
}

/// A raw disk with contents, on a loop that nobody started.
struct LayeredDiskFixture {
  LayeredDiskFixture() {
    auto bytes = pattern(kDiskSize, 1);
    disk = LayeredDisk::open({raw(folder.make_file("base", kDiskSize))}, {}, *loop).value();
    REQUIRE(run(*disk, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  }

  void push(const std::string& name) {
    auto overlay = disk->prepare_overlay(folder / name);
    REQUIRE(overlay);
    disk->switch_to(std::move(*overlay));
  }

  void write(std::uint64_t offset, std::size_t size, unsigned seed) {
    auto bytes = pattern(size, seed);
    REQUIRE(run(*disk, transfer(BlockOperation::kWrite, offset, bytes)) == 0);
  }

  TemporaryFolder folder;
  std::unique_ptr<EventLoop> loop = EventLoop::create("test").value();
  std::unique_ptr<LayeredDisk> disk;
};

std::vector<std::byte> file_bytes(const std::string& path, std::uint64_t offset, std::size_t size) {
  std::vector<std::byte> bytes(size);
  const base::Fd fd = base::open_file(path, O_RDONLY).value();
  REQUIRE(::pread(fd.get(), bytes.data(), size, static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(size));
  return bytes;
}

std::string refusal(std::vector<ImageLayer> layers, bool read_only = false) {
  const auto loop = EventLoop::create("test").value();
  const auto disk = LayeredDisk::open(std::move(layers), {.read_only = read_only}, *loop);
  return disk ? "" : disk.error().message();
}

TEST_CASE("layered disk: after a switch the former top is never written") {
  LayeredDiskFixture f;
  const auto before = file_bytes(f.folder / "base", 0, kDiskSize);
  f.push("o1");
  CHECK(f.disk->layers() ==
        std::vector<ImageLayer>{raw(f.folder / "base"), qcow2(f.folder / "o1")});
  f.write(70000 / 512 * 512, 200'704, 9);
  REQUIRE(run(*f.disk, range(BlockOperation::kDiscard, 1 << 20, 1 << 20)) == 0);
  REQUIRE(run(*f.disk, range(BlockOperation::kWriteZeroes, 3 << 20, 1 << 20)) == 0);
  REQUIRE(run(*f.disk, range(BlockOperation::kFlush, 0, 0)) == 0);
  REQUIRE(f.disk->seal_frozen());
  CHECK(file_bytes(f.folder / "base", 0, kDiskSize) == before);
  CHECK(contents(*f.disk, 70000 / 512 * 512, 200'704) == pattern(200'704, 9));
  CHECK(contents(*f.disk, 3 << 20, 4096) == std::vector<std::byte>(4096));
}

TEST_CASE("layered disk: an overlay is empty, private and over the layer below it") {
  LayeredDiskFixture f;
  f.push("o1");
  REQUIRE(f.disk->seal_frozen());
  struct stat status {};
  REQUIRE(::stat((f.folder / "o1").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0600);
  f.disk.reset();
  const auto info = qemu_img("info --output=json " + f.folder / "o1");
  CHECK(info.text.find("\"backing-filename\": \"base\"") != std::string::npos);
  CHECK(info.text.find("\"backing-filename-format\": \"raw\"") != std::string::npos);
  CHECK(info.text.find(fmt::format("\"virtual-size\": {}", kDiskSize)) != std::string::npos);
  check_clean(f.folder / "o1");
  check_same(raw(f.folder / "base"), qcow2(f.folder / "o1"));
}

TEST_CASE("layered disk: an overlay in another folder names its backing file in full") {
  LayeredDiskFixture f;
  const TemporaryFolder elsewhere;
  auto overlay = f.disk->prepare_overlay(elsewhere / "o1");
  REQUIRE(overlay);
  f.disk->switch_to(std::move(*overlay));
  f.disk.reset();
  check_same(raw(f.folder / "base"), qcow2(elsewhere / "o1"));
  CHECK(refusal({raw(f.folder / "base"), qcow2(elsewhere / "o1")}) == "");
}

TEST_CASE("layered disk: clusters of an overlay are small as long as they are few") {
  constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;
  CHECK(overlay_cluster_bits(0) == 12);
  CHECK(overlay_cluster_bits(16 * kGiB) == 12);
  CHECK(overlay_cluster_bits(16 * kGiB + 512) == 13);
  CHECK(overlay_cluster_bits(64 * kGiB) == 14);
  CHECK(overlay_cluster_bits(256 * kGiB) == 16);
  CHECK(overlay_cluster_bits(1024 * kGiB) == 16);
}

TEST_CASE("layered disk: a page written to a new overlay takes its own size there") {
  LayeredDiskFixture f;
  f.push("o1");
  for (std::uint64_t i = 0; i < 64; ++i) f.write(i * 65536, 4096, 3);
  f.disk.reset();
  struct stat status {};
  REQUIRE(::stat((f.folder / "o1").c_str(), &status) == 0);
  CHECK(status.st_blocks * 512 < 64 * 4096 + 65536);  // and the tables
  check_clean(f.folder / "o1");
}

TEST_CASE("layered disk: overlays of large disks, at their end") {
  const std::uint64_t size = (std::uint64_t{40} << 30) + 512 * GENERATE(0, 3);
  const TemporaryFolder folder;
  const auto loop = EventLoop::create("test").value();
  auto disk = LayeredDisk::open({raw(folder.make_file("base", size))}, {}, *loop).value();
  auto below = pattern(70000 / 512 * 512, 1);
  REQUIRE(run(*disk, transfer(BlockOperation::kWrite, size - below.size(), below)) == 0);
  for (const char* name : {"o1", "o2"}) {
    auto overlay = disk->prepare_overlay(folder / name);
    REQUIRE(overlay);
    disk->switch_to(std::move(*overlay));
    auto bytes = pattern(512, 2);
    REQUIRE(run(*disk, transfer(BlockOperation::kWrite, size - 512, bytes)) == 0);
    REQUIRE(disk->seal_frozen());
  }
  CHECK(contents(*disk, size - below.size(), below.size() - 512) ==
        std::vector(below.begin(), below.end() - 512));
  CHECK(contents(*disk, size - 512, 512) == pattern(512, 2));
  disk.reset();
  CHECK(
      qemu_tool(fmt::format("qemu-img info {}", folder / "o2")).text.find("cluster_size: 16384") !=
      std::string::npos);
  check_clean(folder / "o2");
}

TEST_CASE("layered disk: a new overlay has smaller clusters than the layers below") {
  LayeredDiskFixture f;
  f.disk.reset();
  must_qemu_img(fmt::format("create -q -f qcow2 -o cluster_size=65536 -b base -F raw {}",
                            f.folder / "middle"));
  f.disk =
      LayeredDisk::open({raw(f.folder / "base"), qcow2(f.folder / "middle")}, {}, *f.loop).value();
  f.write(3 * 65536 + 512, 100 * 512, 2);
  f.push("o2");
  f.write(3 * 65536 + 4096, 512, 3);
  f.write(9 * 65536 + 1024, 512, 4);
  auto expected = pattern(kDiskSize, 1);
  const auto put = [&](std::uint64_t offset, std::size_t size, unsigned seed) {
    const auto bytes = pattern(size, seed);
    std::copy(bytes.begin(), bytes.end(), expected.begin() + static_cast<std::ptrdiff_t>(offset));
  };
  put(3 * 65536 + 512, 100 * 512, 2);
  put(3 * 65536 + 4096, 512, 3);
  put(9 * 65536 + 1024, 512, 4);
  CHECK(contents(*f.disk, 0, kDiskSize) == expected);
  const auto layers = f.disk->layers();
  f.disk.reset();
  check_clean(f.folder / "o2");
  f.disk = LayeredDisk::open(layers, {}, *f.loop).value();
  CHECK(contents(*f.disk, 0, kDiskSize) == expected);
}

TEST_CASE("layered disk: what was only in memory of a frozen layer is read before it is sealed") {
  LayeredDiskFixture f;
  f.push("o1");
  f.write(0, 1 << 20, 3);
  f.push("o2");
  f.push("o3");
  const auto below = pattern(1 << 20, 3);
  CHECK(contents(*f.disk, 0, 1 << 20) == below);
  f.write(65536 + 512, 512, 4);  // copies the rest of its cluster from o1
  CHECK(contents(*f.disk, 65536, 512) == std::vector(below.begin() + 65536, below.begin() + 66048));
  REQUIRE(f.disk->seal_frozen());
  CHECK(contents(*f.disk, 65536 + 512, 512) == pattern(512, 4));
  check_clean(f.folder / "o1");
  check_clean(f.folder / "o2");
}

TEST_CASE("layered disk: a flush after a switch covers what was written before it") {
  LayeredDiskFixture f;
  f.push("o1");
  f.write(0, 1 << 20, 3);
  f.push("o2");
  REQUIRE(run(*f.disk, range(BlockOperation::kFlush, 0, 0)) == 0);
  // As another process would find it, had this one ended here.
  std::filesystem::create_directory(f.folder / "copy");
  for (const char* name : {"base", "o1"}) {
    std::filesystem::copy(f.folder / name, f.folder / "copy/" + name);
  }
  must_qemu_img(
      fmt::format("convert -f qcow2 -O raw {} {}", f.folder / "copy/o1", f.folder / "flat"));
  CHECK(file_bytes(f.folder / "flat", 0, 1 << 20) == pattern(1 << 20, 3));
}

TEST_CASE("layered disk: a sealed layer can be read by others, the top by nobody", "[long]") {
  LayeredDiskFixture f;
  f.push("o1");
  f.push("o2");
  CHECK(refusal({raw(f.folder / "base")}, true).find("in use by") != std::string::npos);
  REQUIRE(f.disk->seal_frozen());
  CHECK(refusal({raw(f.folder / "base")}, true) == "");
  CHECK(refusal({raw(f.folder / "base")}).find("in use by") != std::string::npos);
  CHECK(refusal({raw(f.folder / "base"), qcow2(f.folder / "o1")}, true) == "");
  CHECK(refusal({raw(f.folder / "base"), qcow2(f.folder / "o1"), qcow2(f.folder / "o2")}, true)
            .find("in use by") != std::string::npos);
}

TEST_CASE("layered disk: two disks share what lies below their tops") {
  const TemporaryFolder folder;
  const auto base = raw(folder.make_file("base", kDiskSize));
  REQUIRE(create_overlay(folder / "a", {base}));
  REQUIRE(create_overlay(folder / "b", {base}));
  const auto loop = EventLoop::create("test").value();
  const auto a = LayeredDisk::open({base, qcow2(folder / "a")}, {}, *loop);
  const auto b = LayeredDisk::open({base, qcow2(folder / "b")}, {}, *loop);
  REQUIRE(a);
  REQUIRE(b);
  auto bytes = pattern(512, 1);
  CHECK(run(**a, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
  CHECK(contents(**b, 0, 512) == std::vector<std::byte>(512));
}

TEST_CASE("layered disk: an overlay that no disk took is removed") {
  LayeredDiskFixture f;
  {
    const auto overlay = f.disk->prepare_overlay(f.folder / "o1");
    REQUIRE(overlay);
    CHECK(std::filesystem::exists(f.folder / "o1"));
    CHECK(overlay->layer() == qcow2(f.folder / "o1"));
  }
  CHECK_FALSE(std::filesystem::exists(f.folder / "o1"));
  CHECK(f.disk->layers().size() == 1);
}

TEST_CASE("layered disk: an overlay never takes the place of a file") {
  LayeredDiskFixture f;
  f.folder.make_file("o1", 512, "precious");
  const auto overlay = f.disk->prepare_overlay(f.folder / "o1");
  REQUIRE_FALSE(overlay);
  CHECK(overlay.error().message().find(f.folder / "o1") != std::string::npos);
  CHECK_FALSE(create_overlay(f.folder / "o1", {raw(f.folder / "base")}));
  CHECK(file_bytes(f.folder / "o1", 0, 8) ==
        std::vector<std::byte>{std::byte{'p'}, std::byte{'r'}, std::byte{'e'}, std::byte{'c'},
                               std::byte{'i'}, std::byte{'o'}, std::byte{'u'}, std::byte{'s'}});
}

TEST_CASE("layered disk: every overlay has an identity of its own, which qemu-img keeps") {
  LayeredDiskFixture f;
  f.push("o1");
  f.push("o2");
  f.disk.reset();
  const auto first = overlay_uuid(f.folder / "o1");
  const auto second = overlay_uuid(f.folder / "o2");
  REQUIRE(first);
  REQUIRE(second);
  CHECK(first->size() == 36);
  CHECK(*first != *second);
  must_qemu_img(fmt::format("rebase -u -f qcow2 -F raw -b base {}", f.folder / "o1"));
  CHECK(overlay_uuid(f.folder / "o1") == *first);
  must_qemu_img(fmt::format("create -q -f qcow2 {} 1M", f.folder / "other"));
  CHECK(overlay_uuid(f.folder / "other").error().kind() == base::ErrorKind::kNotFound);
}

TEST_CASE("layered disk: read-only layers answer changes with EROFS and stay as they are") {
  LayeredDiskFixture f;
  f.push("o1");
  f.write(0, 512, 7);
  const auto layers = f.disk->layers();
  f.disk.reset();
  const auto size = std::filesystem::file_size(f.folder / "o1");
  const auto before = file_bytes(f.folder / "o1", 0, size);
  const auto disk = LayeredDisk::open(layers, {.read_only = true}, *f.loop).value();
  auto bytes = pattern(512, 0);
  CHECK(run(*disk, transfer(BlockOperation::kWrite, 0, bytes)) == EROFS);
  CHECK(run(*disk, range(BlockOperation::kDiscard, 0, 65536)) == EROFS);
  CHECK(run(*disk, range(BlockOperation::kFlush, 0, 0)) == 0);
  CHECK(contents(*disk, 0, 512) == pattern(512, 7));
  CHECK(run(*disk, transfer(BlockOperation::kRead, kDiskSize, bytes)) == EINVAL);
  CHECK(std::filesystem::file_size(f.folder / "o1") == size);
  CHECK(file_bytes(f.folder / "o1", 0, size) == before);
}

TEST_CASE("layered disk: completions come later, on the loop, also where there is nothing to do") {
  LayeredDiskFixture f;
  f.push("o1");
  REQUIRE(run(*f.disk, range(BlockOperation::kWriteZeroes, 0, kDiskSize)) == 0);
  std::vector<std::byte> bytes(4096, std::byte{1});
  std::atomic<bool> is_done{false};
  auto read = transfer(BlockOperation::kRead, 0, bytes);
  read.done = [&](int error) { is_done = error == 0 && f.loop->on_loop_thread(); };
  f.disk->submit(std::move(read));
  f.disk->kick();
  CHECK_FALSE(is_done);
  f.loop->start();
  while (!is_done) std::this_thread::yield();
  CHECK(bytes == std::vector<std::byte>(4096));
}

TEST_CASE("layered disk: layers are switched and sealed while a loop works on them") {
  LayeredDiskFixture f;
  f.loop->start();
  std::atomic<int> errors{0};
  std::atomic<std::uint32_t> done{0};
  std::atomic<bool> goes_on{true};
  std::vector<std::byte> bytes = pattern(20480, 0);
  std::function<void(int)> next = [&](int error) {
    errors += error != 0 ? 1 : 0;
    const std::uint32_t i = ++done;
    if (!goes_on) return;
    auto request = i % 50 == 0
                       ? range(BlockOperation::kFlush, 0, 0)
                       : transfer(BlockOperation::kWrite, i * 9216 % (kDiskSize / 2), bytes);
    request.done = next;
    f.disk->submit(std::move(request));
    f.disk->kick();
  };
  for (int i = 0; i < 4; ++i) f.loop->run_sync([&] { next(0); });
  for (unsigned i = 0; i < 12; ++i) {
    auto overlay = f.disk->prepare_overlay(f.folder / fmt::format("o{}", i));
    REQUIRE(overlay);
    goes_on = false;  // as a device that is being paused takes no more requests
    f.loop->run_sync([&] { REQUIRE(f.disk->drain(BlockImage::kForever)); });
    f.loop->pause();
    f.disk->switch_to(std::move(*overlay));
    f.loop->resume();
    goes_on = true;
    for (int k = 0; k < 4; ++k) f.loop->run_sync([&] { next(0); });
    const std::uint32_t before = done;
    REQUIRE(f.disk->seal_frozen());
    while (done < before + 20) std::this_thread::yield();
  }
  goes_on = false;
  f.loop->run_sync([&] { REQUIRE(f.disk->drain(BlockImage::kForever)); });
  CHECK(errors == 0);
  f.loop->pause();
  f.disk.reset();
  for (unsigned i = 0; i < 12; ++i) check_clean(f.folder / fmt::format("o{}", i));
}

}  // namespace
}  // namespace stasis::devices
