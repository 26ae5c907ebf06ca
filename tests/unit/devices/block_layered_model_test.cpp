#include <fmt/format.h>

#include "devices/block/layered_disk.h"
#include "tests/unit/devices/block_model_disk.h"
#include "tests/unit/devices/block_qemu_img.h"

namespace stasis::devices {
namespace {

using namespace testing;

constexpr std::uint64_t kOverlayCluster = 4 << 10;

/// Checks each file of a disk that nobody has open, and what QEMU reads from it.
void check_with_qemu(const std::vector<ImageLayer>& layers, const std::vector<std::byte>& bytes,
                     const std::string& scratch) {
  for (const ImageLayer& layer : layers) {
    if (layer.format == ImageFormat::kQcow2) check_clean(layer.path);
  }
  save_raw(scratch, bytes);
  check_same(layers.back(), {scratch, ImageFormat::kRaw});
}

std::unique_ptr<LayeredDisk> reopen(std::unique_ptr<LayeredDisk> disk, EventLoop& loop,
                                    FileIo::Engine engine) {
  const auto layers = disk->layers();
  disk.reset();
  return LayeredDisk::open(layers, {false, engine}, loop).value();
}

void push_overlay(LayeredDisk& disk, const std::string& path) {
  auto overlay = disk.prepare_overlay(path);
  REQUIRE(overlay);
  disk.switch_to(std::move(*overlay));
}

TEST_CASE("layered disk: chains read and write as one disk, over switches and restarts", "[long]") {
  const auto engine = GENERATE(FileIo::Engine::kAuto, FileIo::Engine::kThreads);
  const unsigned depth = GENERATE(1u, 3u, 64u);
  const TemporaryFolder folder;
  const auto loop = EventLoop::create("test").value();
  // Neither a whole number of clusters nor of index slices.
  const std::uint64_t size = (depth == 64 ? 2 << 20 : 5 << 20) + 3 * 512;
  auto bytes = pattern(size, depth);
  save_raw(folder / "base", bytes);
  auto disk =
      LayeredDisk::open({{folder / "base", ImageFormat::kRaw}}, {false, engine}, *loop).value();
  for (unsigned layer = 0; layer <= depth; ++layer) {
    {
      ModelDisk model(*disk, bytes, 1000 * depth + layer);
      model.set_unit(layer == 0 ? 1 : kOverlayCluster);
      for (int round = 0; round < (depth == 64 ? 2 : 12); ++round) {
        model.work(1 + layer % 7 + static_cast<unsigned>(round));
        if (round % 3 == 2) model.flush();
      }
      if (depth < 64 || layer % 16 == 0) model.check();
    }
    if (layer == depth) break;
    push_overlay(*disk, folder / fmt::format("o{}", layer));
    if (layer % 3 != 1) REQUIRE(disk->seal_frozen());
    if (layer % 10 == 9) disk = reopen(std::move(disk), *loop, engine);
  }
  CHECK(disk->layers().size() == depth + 1);
  disk = reopen(std::move(disk), *loop, engine);
  ModelDisk(*disk, bytes, 1).check();
  const auto layers = disk->layers();
  disk.reset();
  check_with_qemu(layers, bytes, folder / "expected");
}

TEST_CASE("layered disk: images that qemu-img made are read and written", "[long]") {
  const TemporaryFolder folder;
  const auto loop = EventLoop::create("test").value();
  const char* options =
      GENERATE("cluster_size=512", "cluster_size=512,refcount_bits=1",
               "cluster_size=4096,refcount_bits=64", "cluster_size=65536,refcount_bits=8",
               "cluster_size=2M,lazy_refcounts=on", "cluster_size=65536,preallocation=metadata");
  const bool has_backing =
      GENERATE(false, true) && std::string(options).find("prealloc") == std::string::npos;
  CAPTURE(options, has_backing);
  const std::uint64_t size = (6 << 20) + 512;
  std::vector<std::byte> bytes(size);
  std::vector<ImageLayer> layers{{folder / "top", ImageFormat::kQcow2}};
  std::string base;
  if (has_backing) {
    const auto below = pattern(2 << 20, 5);  // smaller than the disk, which has zeroes there
    save_raw(folder / "base", below);
    std::memcpy(bytes.data(), below.data(), below.size());
    layers.insert(layers.begin(), {folder / "base", ImageFormat::kRaw});
    base = "-b base -F raw ";
  }
  must_qemu_img(
      fmt::format("create -q -f qcow2 -o {} {}{} {}", options, base, folder / "top", size));
  REQUIRE(qemu_tool(fmt::format("qemu-io -f qcow2 -c 'write -q -P 7 1M 300k' -c 'write -q -z 100k "
                                "200k' -c 'discard 1100k 64k' {}",
                                folder / "top"))
              .status == 0);
  must_qemu_img(fmt::format("convert -f qcow2 -O raw {} {}", folder / "top", folder / "now"));
  {
    const base::Fd now = base::open_file(folder / "now", O_RDONLY).value();
    REQUIRE(::pread(now.get(), bytes.data(), size, 0) == static_cast<ssize_t>(size));
  }
  auto disk = LayeredDisk::open(layers, {}, *loop);
  INFO((disk ? "" : disk.error().message()));
  REQUIRE(disk);
  REQUIRE((*disk)->info().size_bytes == size);
  ModelDisk model(**disk, bytes, 3);
  model.check();
  const std::string text = options;
  const auto unit =
      text.starts_with("cluster_size=2M") ? std::uint64_t{2} << 20 : std::stoull(text.substr(13));
  model.set_unit(unit);
  for (int round = 0; round < 30; ++round) model.work(20);
  model.check();
  disk->reset();
  check_with_qemu(layers, bytes, folder / "expected");

  disk = LayeredDisk::open(layers, {}, *loop);
  REQUIRE(disk);
  push_overlay(**disk, folder / "o1");
  {
    ModelDisk after(**disk, bytes, 4);
    after.set_unit(kOverlayCluster);
    after.check();
    for (int round = 0; round < 10; ++round) after.work(20);
  }
  REQUIRE((*disk)->seal_frozen());
  layers = (*disk)->layers();
  disk->reset();
  check_with_qemu(layers, bytes, folder / "expected");
}

TEST_CASE("layered disk: a file outgrows the refcount table it was made with") {
  const TemporaryFolder folder;
  const auto loop = EventLoop::create("test").value();
  constexpr std::uint64_t kSize = 40 << 20;  // 512 byte clusters: one table covers 8 MiB of file
  const std::vector<ImageLayer> layers{{folder / "top", ImageFormat::kQcow2}};
  must_qemu_img(fmt::format("create -q -f qcow2 -o cluster_size=512 {} {}", folder / "top", kSize));
  auto bytes = pattern(kSize, 1);
  {
    const auto disk = LayeredDisk::open(layers, {}, *loop).value();
    for (std::uint64_t at = 0; at < kSize; at += 1 << 20) {
      REQUIRE(run(*disk, transfer(BlockOperation::kWrite, at,
                                  std::span(bytes).subspan(at, 1 << 20))) == 0);
      if (at % (8 << 20) == 0) REQUIRE(run(*disk, range(BlockOperation::kFlush, 0, 0)) == 0);
    }
  }
  check_with_qemu(layers, bytes, folder / "expected");
  const auto disk = LayeredDisk::open(layers, {}, *loop).value();
  ModelDisk(*disk, bytes, 1).check();
}

TEST_CASE("layered disk: a layer below a smaller one is not seen past that one's end") {
  const TemporaryFolder folder;
  const auto loop = EventLoop::create("test").value();
  constexpr std::uint64_t kMiddle = (1 << 20) + 5 * 512;
  auto bytes = pattern(4 << 20, 2);
  save_raw(folder / "base", bytes);
  must_qemu_img(fmt::format("create -q -f qcow2 -b base -F raw {} {}", folder / "mid", kMiddle));
  must_qemu_img(fmt::format("create -q -f qcow2 -b mid -F qcow2 {} 4M", folder / "top"));
  std::memset(bytes.data() + kMiddle, 0, bytes.size() - kMiddle);
  const std::vector<ImageLayer> layers{{folder / "base", ImageFormat::kRaw},
                                       {folder / "mid", ImageFormat::kQcow2},
                                       {folder / "top", ImageFormat::kQcow2}};
  {
    const auto disk = LayeredDisk::open(layers, {}, *loop).value();
    ModelDisk model(*disk, bytes, 6);
    model.set_unit(64 << 10);  // qemu-img's clusters
    model.check();
    for (int round = 0; round < 20; ++round) model.work(10);
    model.check();
  }
  check_with_qemu(layers, bytes, folder / "expected");
}

TEST_CASE("layered disk: space that a discard freed is used again") {
  const TemporaryFolder folder;
  const auto loop = EventLoop::create("test").value();
  const auto base = folder.make_file("base", 8 << 20);
  REQUIRE(create_overlay(folder / "top", {{base, ImageFormat::kRaw}}));
  const auto disk =
      LayeredDisk::open({{base, ImageFormat::kRaw}, {folder / "top", ImageFormat::kQcow2}}, {},
                        *loop)
          .value();
  auto bytes = pattern(4 << 20, 8);
  for (int round = 0; round < 10; ++round) {
    REQUIRE(run(*disk, transfer(BlockOperation::kWrite, 0, bytes)) == 0);
    REQUIRE(run(*disk, range(BlockOperation::kFlush, 0, 0)) == 0);
    REQUIRE(run(*disk, range(BlockOperation::kDiscard, 0, 4 << 20)) == 0);
    REQUIRE(run(*disk, range(BlockOperation::kFlush, 0, 0)) == 0);
  }
  CHECK(std::filesystem::file_size(folder / "top") < (10 << 20));
}

}  // namespace
}  // namespace stasis::devices
