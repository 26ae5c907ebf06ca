#include "snapshot/ram_image.h"

#include <sys/mman.h>

#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {
namespace {

struct StoredRam {
  ScratchFolder scratch;
  PlainRam ram;
  Manifest manifest;

  void store(const RamCaptureOptions& options) {
    manifest = small_manifest(new_id());
    manifest.files = capture_into(scratch.open(), ram, options).files;
    wait_for_new_times();
  }
  RamImage open() const {
    auto image = RamImage::open(scratch.open(), manifest);
    if (!image) FAIL(image.error().message());
    return std::move(*image);
  }
};

const std::vector<RamCaptureOptions> kAllWays{{Engine::kStopAndCopy, std::nullopt},
                                              {Engine::kFork, std::nullopt},
                                              {Engine::kStopAndCopy, 3},
                                              {Engine::kFork, 3}};

TEST_CASE_METHOD(StoredRam, "memory comes back as it was, by each engine and layout") {
  const auto options = GENERATE(from_range(kAllWays));
  ram.fill();
  store(options);
  const PlainRam restored;
  const auto report = open().fill(restored.regions());
  REQUIRE(report);
  CHECK(report->is_mapped == !options.compression_level);
  CHECK_FALSE(report->was_checked_in_full == report->is_mapped);
  CHECK(restored.copy() == ram.copy());
}

TEST_CASE_METHOD(StoredRam, "both engines write the same bytes") {
  const auto level = GENERATE(std::optional<int>(), std::optional<int>(1), std::optional<int>(19));
  ram.fill();
  const ScratchFolder other;
  store({Engine::kStopAndCopy, level});
  const auto forked = capture_into(other.open(), ram, {Engine::kFork, level});
  REQUIRE(forked.files.size() == 2);
  for (std::size_t i = 0; i < forked.files.size(); ++i) {
    const std::string& name = forked.files[i].name;
    CHECK(read_file(scratch.path(name)) == read_file(other.path(name)));
    CHECK(forked.files[i].digest == manifest.files[i].digest);
  }
}

TEST_CASE_METHOD(StoredRam, "untouched memory is neither stored nor touched") {
  ram.fill_page(5, 1);
  const auto resident = [this] {
    std::size_t count = 0;
    for (const auto& region : ram.regions()) {
      std::vector<unsigned char> pages(region.bytes.size() / kPageBytes);
      REQUIRE(::mincore(region.bytes.data(), region.bytes.size(), pages.data()) == 0);
      for (const auto page : pages) count += page & 1U;
    }
    return count;
  };
  const auto before = resident();
  const auto result = capture_into(scratch.open(), ram, {Engine::kStopAndCopy, std::nullopt});
  CHECK(result.captured_bytes == kPageBytes);
  CHECK(resident() == before);
  struct stat status {};
  REQUIRE(::stat(scratch.path("ram.raw").c_str(), &status) == 0);
  CHECK(static_cast<std::uint64_t>(status.st_size) == ram.size());
  CHECK(status.st_blocks * 512 <= 16 * 1024);
}

TEST_CASE_METHOD(StoredRam, "a machine that never ran has an image") {
  const auto options = GENERATE(from_range(kAllWays));
  store(options);
  const PlainRam restored;
  REQUIRE(open().fill(restored.regions()));
  CHECK(restored.copy() == ram.copy());
  VerifyProgress progress(nullptr, 0);
  CHECK(open().verify(progress));
}

TEST_CASE_METHOD(StoredRam, "a restored machine can be stored again at once") {
  // Pages of the file that were not looked at yet are not zeros (T44).
  const auto options = GENERATE(from_range(kAllWays));
  ram.fill();
  store({Engine::kStopAndCopy, std::nullopt});
  const PlainRam restored;
  REQUIRE(open().fill(restored.regions()));
  restored.fill_page(3, 9);
  *restored.page(1000) = std::byte{1};
  const ScratchFolder second;
  Manifest again = small_manifest(new_id());
  again.files = capture_into(second.open(), restored, options).files;
  const auto image = RamImage::open(second.open(), again);
  REQUIRE(image);
  const PlainRam third;
  REQUIRE(image->fill(third.regions()));
  CHECK(third.copy() == restored.copy());
  ram.fill_page(3, 9);
  *ram.page(1000) = std::byte{1};
  CHECK(third.copy() == ram.copy());
}

TEST_CASE_METHOD(StoredRam, "what a restored machine writes stays out of the image") {
  ram.fill();
  store({Engine::kFork, std::nullopt});
  const PlainRam restored;
  REQUIRE(open().fill(restored.regions()));
  restored.fill(2);
  VerifyProgress progress(nullptr, 0);
  CHECK(open().verify(progress));
}

TEST_CASE_METHOD(StoredRam, "memory of another size is refused") {
  ram.fill();
  store({Engine::kStopAndCopy, std::nullopt});
  const PlainRam other(512, 701);
  const auto filled = open().fill(other.regions());
  REQUIRE_FALSE(filled);
  CHECK(filled.error().kind() == base::ErrorKind::kInvalidArgument);
}

TEST_CASE_METHOD(StoredRam, "a changed byte that left the time alone is found by verify") {
  const auto options = GENERATE(from_range(kAllWays));
  ram.fill();
  store(options);
  const std::string& name = manifest.files[0].name;
  const auto size = std::filesystem::file_size(scratch.path(name));
  // In data, in a hole, in the last byte.
  for (const std::uint64_t place : {std::uint64_t{100}, size / 2 + 1, size - 1}) {
    const auto fd = *base::open_file(scratch.path(name), O_RDWR);
    char byte = 0;
    REQUIRE(::pread(fd.get(), &byte, 1, static_cast<off_t>(place)) == 1);
    byte = static_cast<char>(byte ^ 0x10);
    REQUIRE(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(place)) == 1);
    const auto image = RamImage::open(scratch.open(), manifest);
    VerifyProgress progress(nullptr, 0);
    const base::Status verified = image ? image->verify(progress) : tl::unexpected(image.error());
    REQUIRE_FALSE(verified);
    CHECK(verified.error().kind() == base::ErrorKind::kCorrupt);
    CHECK(verified.error().message().find(name) != std::string::npos);
    // The file's time is new, so that a restore looks, too.
    const PlainRam restored;
    CHECK_FALSE((image && image->fill(restored.regions())));
    byte = static_cast<char>(byte ^ 0x10);
    REQUIRE(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(place)) == 1);
  }
}

TEST_CASE_METHOD(StoredRam, "a copy of an image is checked in full, then used") {
  ram.fill();
  store({Engine::kFork, std::nullopt});
  const ScratchFolder other;
  for (const FileRecord& file : manifest.files) {
    std::filesystem::copy_file(scratch.path(file.name), other.path(file.name));
  }
  const auto image = RamImage::open(other.open(), manifest);
  REQUIRE(image);
  const PlainRam restored;
  const auto report = image->fill(restored.regions());
  REQUIRE(report);
  CHECK(report->was_checked_in_full);
  CHECK(restored.copy() == ram.copy());
}

}  // namespace
}  // namespace stasis::snapshot
