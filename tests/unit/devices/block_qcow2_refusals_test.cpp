#include <fmt/format.h>

#include "devices/block/layered_disk.h"
#include "tests/unit/devices/block_qemu_img.h"
#include "tests/unit/devices/block_test_support.h"

namespace stasis::devices {
namespace {

using namespace testing;

/// Why a disk of `layers` cannot be opened; checks that the message names `names` and a remedy.
void check_refused(const std::vector<ImageLayer>& layers, base::ErrorKind kind,
                   const std::vector<std::string>& names, bool read_only = false) {
  const auto loop = EventLoop::create("test").value();
  const auto disk = LayeredDisk::open(layers, {.read_only = read_only}, *loop);
  REQUIRE_FALSE(disk);
  const std::string& message = disk.error().message();
  INFO(message);
  CHECK(disk.error().kind() == kind);
  CHECK(message.starts_with("disk \""));
  CHECK(message.find("; ") != std::string::npos);
  for (const std::string& name : names) CHECK(message.find(name) != std::string::npos);
}

void patch(const std::string& path, std::uint64_t offset, const std::vector<unsigned>& bytes) {
  std::vector<std::byte> raw;
  raw.reserve(bytes.size());
  for (const unsigned byte : bytes) raw.push_back(static_cast<std::byte>(byte));
  const base::Fd fd = base::open_file(path, O_RDWR).value();
  REQUIRE(::pwrite(fd.get(), raw.data(), raw.size(), static_cast<off_t>(offset)) ==
          static_cast<ssize_t>(raw.size()));
}

struct Qcow2Fixture {
  std::string create(const std::string& options) const {
    must_qemu_img(fmt::format("create -q -f qcow2 {} {} 4M", options, path));
    return path;
  }
  std::vector<ImageLayer> layers() const { return {{path, ImageFormat::kQcow2}}; }

  TemporaryFolder folder;
  std::string path = folder / "x.qcow2";
};

using Kind = base::ErrorKind;

TEST_CASE("qcow2: what is not supported is refused by its name, with what to do") {
  const Qcow2Fixture f;
  SECTION("version 2") {
    f.create("-o compat=0.10");
    check_refused(f.layers(), Kind::kUnsupported, {f.path, "version 2", "qemu-img amend"});
  }
  SECTION("encrypted") {
    f.create("");
    patch(f.path, 35, {GENERATE(1u, 2u)});  // AES, LUKS
    check_refused(f.layers(), Kind::kUnsupported, {"encrypt", "qemu-img convert"});
  }
  SECTION("external data file") {
    f.create("-o data_file=" + f.folder / "data");
    check_refused(f.layers(), Kind::kUnsupported, {"data file", "qemu-img convert"});
  }
  SECTION("extended L2 entries") {
    f.create("-o extended_l2=on");
    check_refused(f.layers(), Kind::kUnsupported, {"extended L2", "qemu-img convert"});
  }
  SECTION("internal snapshots") {
    f.create("");
    must_qemu_img("snapshot -c s " + f.path);
    check_refused(f.layers(), Kind::kUnsupported, {"internal snapshot", "qemu-img"});
  }
  SECTION("compressed clusters, also read-only") {
    const auto raw = f.folder.make_file("raw", 4 << 20, "some text");
    must_qemu_img(fmt::format("convert -c -f raw -O qcow2 {} {}", raw, f.path));
    check_refused(f.layers(), Kind::kUnsupported, {"compressed", "qemu-img convert"});
    check_refused(f.layers(), Kind::kUnsupported, {"compressed", "qemu-img convert"}, true);
  }
  SECTION("an unknown incompatible feature") {
    f.create("");
    patch(f.path, 72, {0x80});  // bit 63
    check_refused(f.layers(), Kind::kUnsupported, {"63"});
  }
  SECTION("marked dirty or corrupt") {
    f.create("");
    patch(f.path, 79, {GENERATE(1u, 2u)});
    check_refused(f.layers(), Kind::kCorrupt, {"qemu-img check -r all"});
  }
  SECTION("persistent bitmaps, when written") {
    f.create("");
    must_qemu_img("bitmap --add " + f.path + " b");
    check_refused(f.layers(), Kind::kUnsupported, {"bitmap", "qemu-img bitmap --remove"});
  }
}

TEST_CASE("qcow2: damage is refused, with what to do") {
  const Qcow2Fixture f;
  f.create("-o cluster_size=4096");
  REQUIRE(qemu_tool("qemu-io -f qcow2 -c 'write -q 0 2M' " + f.path).status == 0);
  const auto field = [&](std::uint64_t at) {
    std::array<unsigned char, 8> bytes{};
    const base::Fd fd = base::open_file(f.path, O_RDONLY).value();
    REQUIRE(::pread(fd.get(), bytes.data(), 8, static_cast<off_t>(at)) == 8);
    std::uint64_t value = 0;
    for (const unsigned char byte : bytes) value = value << 8 | byte;
    return value;
  };
  const std::uint64_t l1 = field(40);
  const std::uint64_t l2 = field(l1) & 0x00ff'ffff'ffff'fe00;
  SECTION("no qcow2 at all") {
    patch(f.path, 0, {0});
  }
  SECTION("a cluster size out of range") {
    patch(f.path, 20, {0, 0, 0, 40});
  }
  SECTION("a top table outside the file") {
    patch(f.path, 40, {0, 0, 0x10, 0, 0, 0, 0, 0});
  }
  SECTION("a top table at an odd place") {
    patch(f.path, 47, {8});
  }
  SECTION("a top table that is too large") {
    patch(f.path, 36, {0x7f, 0xff, 0xff, 0xff});
  }
  SECTION("a top table that is too small") {
    patch(f.path, 36, {0, 0, 0, 0});
  }
  SECTION("a refcount table outside the file") {
    patch(f.path, 48, {0, 0x10});
  }
  SECTION("a refcount table that is too large") {
    patch(f.path, 56, {0x7f, 0xff, 0xff, 0xff});
  }
  SECTION("a refcount width out of range") {
    patch(f.path, 99, {9});
  }
  SECTION("a table outside the file") {
    patch(f.path, l1, {0x80, 0, 0x10, 0, 0, 0, 0, 0});
  }
  SECTION("a table at an odd place") {
    patch(f.path, l1 + 6, {2});
  }
  SECTION("two tables in one place") {
    patch(f.path, l1 + 8,
          {0x80, 0, 0, 0, 0, static_cast<unsigned>(l2 >> 16 & 0xff),
           static_cast<unsigned>(l2 >> 8 & 0xff), 0});
  }
  SECTION("a cluster outside the file") {
    patch(f.path, l2, {0x80, 0, 0x10, 0, 0, 0, 0, 0});
  }
  SECTION("a cluster that is its own table") {
    patch(f.path, l2,
          {0x80, 0, 0, 0, 0, static_cast<unsigned>(l2 >> 16 & 0xff),
           static_cast<unsigned>(l2 >> 8 & 0xff), 0});
  }
  SECTION("a cluster that is the top table") {
    patch(f.path, l2,
          {0x80, 0, 0, 0, 0, static_cast<unsigned>(l1 >> 16 & 0xff),
           static_cast<unsigned>(l1 >> 8 & 0xff), 0});
  }
  const auto loop = EventLoop::create("test").value();
  const auto disk = LayeredDisk::open(f.layers(), {}, *loop);
  REQUIRE_FALSE(disk);
  const std::string& message = disk.error().message();
  INFO(message);
  CHECK(message.starts_with(fmt::format("disk \"{}\": ", f.path)));
  CHECK(message.find("; ") != std::string::npos);
}

TEST_CASE("qcow2: a backing file is only what the caller named") {
  const Qcow2Fixture f;
  const auto base = f.folder.make_file("base", 4 << 20);
  const auto other = f.folder.make_file("other", 4 << 20);
  f.create("-b base -F raw");
  const ImageLayer top{f.path, ImageFormat::kQcow2};
  const auto loop = EventLoop::create("test").value();
  SECTION("none") {
    check_refused({top}, Kind::kInvalidArgument, {"base", "backing="});
  }
  SECTION("another one") {
    check_refused({{other, ImageFormat::kRaw}, top}, Kind::kInvalidArgument, {"base", "other"});
  }
  SECTION("in another format") {
    std::filesystem::remove(base);
    must_qemu_img("create -q -f qcow2 " + base + " 4M");
    check_refused({{base, ImageFormat::kQcow2}, top}, Kind::kInvalidArgument, {"raw", "qcow2"});
  }
  SECTION("one that the file does not have") {
    f.create("");
    check_refused({{base, ImageFormat::kRaw}, top}, Kind::kInvalidArgument, {"base"});
  }
  SECTION("by another name") {
    std::filesystem::create_symlink(base, f.folder / "link");
    CHECK(LayeredDisk::open({{f.folder / "link", ImageFormat::kRaw}, top}, {}, *loop));
  }
  SECTION("a file that must not be opened") {
    must_qemu_img(fmt::format("rebase -u -f qcow2 -b /etc/shadow -F raw {}", f.path));
    check_refused({top}, Kind::kInvalidArgument, {"/etc/shadow", "backing="});
    check_refused({{base, ImageFormat::kRaw}, top}, Kind::kInvalidArgument, {"/etc/shadow"});
  }
}

TEST_CASE("qcow2: layers that make no chain are refused") {
  const Qcow2Fixture f;
  const auto base = f.folder.make_file("base", 4 << 20);
  f.create("");
  const ImageLayer top{f.path, ImageFormat::kQcow2};
  check_refused({top, {base, ImageFormat::kRaw}}, Kind::kInvalidArgument, {"raw"});
  check_refused({{f.path, ImageFormat::kRaw}}, Kind::kInvalidArgument, {"qcow2"});
  check_refused({{base, ImageFormat::kQcow2}}, Kind::kInvalidArgument, {"not a qcow2"});
  check_refused({{f.folder / "nothing", ImageFormat::kQcow2}}, Kind::kNotFound, {"nothing"});
}

}  // namespace
}  // namespace stasis::devices
