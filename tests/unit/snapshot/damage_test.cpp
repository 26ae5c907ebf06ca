// Each file of a snapshot, damaged in each way: found by verify, refused by a restore, and named.
#include "snapshot/ram_image.h"
#include "snapshot/snapshot_files.h"
#include "snapshot/state_file.h"
#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {
namespace {

struct DamagedStore {
  ScratchFolder scratch;
  PlainRam ram{64, 320};
  SnapshotStore store = *SnapshotStore::open(scratch.path("snapshots"));
  Manifest manifest;

  void make(const RamCaptureOptions& options) {
    ram.fill();
    manifest = store_snapshot(store, ram, options);
    wait_for_new_times();
  }
  std::string path(const std::string& name) const {
    return scratch.path("snapshots/" + manifest.info.id + "/" + name);
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names{kManifestFile};
    for (const FileRecord& file : manifest.files) names.push_back(file.name);
    return names;
  }

  /// What a restore reads.
  base::Status restore() const {
    const auto snapshot = TRY(store.open_snapshot(manifest.info.id));
    TRY(read_recorded_file(snapshot.folder, *snapshot.manifest.file(kStateFile), kMaxStateBytes));
    const auto image = TRY(RamImage::open(snapshot.folder, snapshot.manifest));
    const PlainRam restored(64, 320);
    TRY(image.fill(restored.regions()));
    return {};
  }
  void check_refused(const std::string& name) const {
    for (const auto& status : {store.verify(manifest.info.id, nullptr), restore()}) {
      REQUIRE_FALSE(status);
      INFO(status.error().message());
      CHECK(status.error().message().find("\"" + name + "\"") != std::string::npos);
      CHECK(status.error().kind() != base::ErrorKind::kIo);
    }
  }
  void flip(const std::string& name, std::uint64_t place) const {
    const auto fd = *base::open_file(path(name), O_RDWR);
    unsigned char byte = 0;
    REQUIRE(::pread(fd.get(), &byte, 1, static_cast<off_t>(place)) == 1);
    byte ^= static_cast<unsigned char>(1U << place % 8);
    REQUIRE(::pwrite(fd.get(), &byte, 1, static_cast<off_t>(place)) == 1);
  }
};

TEST_CASE_METHOD(DamagedStore, "a flipped bit in any file is found and refused") {
  make(GENERATE(from_range(kBothLayouts)));
  REQUIRE(store.verify(manifest.info.id, nullptr));
  REQUIRE(restore());
  for (const auto& name : files()) {
    const auto size = std::filesystem::file_size(path(name));
    for (std::uint64_t place = 0; place < size; place += std::max<std::uint64_t>(size / 41, 1)) {
      INFO(name << " byte " << place);
      flip(name, place);
      check_refused(name);
      flip(name, place);
    }
  }
  CHECK(store.verify(manifest.info.id, nullptr));
}

TEST_CASE_METHOD(DamagedStore, "a file that is cut off or longer is found and refused") {
  make(GENERATE(from_range(kBothLayouts)));
  for (const auto& name : files()) {
    const auto size = std::filesystem::file_size(path(name));
    const std::string aside = scratch.path("aside");
    std::filesystem::copy_file(path(name), aside,
                               std::filesystem::copy_options::overwrite_existing);
    for (const std::uint64_t length : {std::uint64_t{0}, size / 2, size - 1, size + 1}) {
      INFO(name << " of " << length << " bytes");
      std::filesystem::resize_file(path(name), length);
      check_refused(name);
      std::filesystem::copy_file(aside, path(name),
                                 std::filesystem::copy_options::overwrite_existing);
    }
    std::filesystem::remove(path(name));
    check_refused(name);
    std::filesystem::copy_file(aside, path(name));
  }
  CHECK(store.verify(manifest.info.id, nullptr));
}

TEST_CASE_METHOD(DamagedStore, "verify names the place of damage in memory") {
  make({Engine::kFork, std::nullopt});
  flip(kRawRamFile, kBlockBytes + 5);
  const auto raw = store.verify(manifest.info.id, nullptr);
  REQUIRE_FALSE(raw);
  CHECK(raw.error().message().find("bytes 1048576 to 1572864 of memory") != std::string::npos);
}

TEST_CASE_METHOD(DamagedStore, "a newer manifest is refused by its number") {
  make({Engine::kFork, std::nullopt});
  std::string text = read_file(path(kManifestFile));
  const auto place = text.find("\"schema\": 1");
  REQUIRE(place != std::string::npos);
  text.replace(place, 11, "\"schema\": 2");
  std::ofstream(path(kManifestFile)) << text;
  const auto loaded = store.load(manifest.info.id);
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().kind() == base::ErrorKind::kUnsupported);
  CHECK(loaded.error().message().find("schema 2") != std::string::npos);
  const auto list = store.list();
  CHECK(list->snapshots.empty());
  REQUIRE(list->broken.size() == 1);
  CHECK(list->broken[0].id == manifest.info.id);
}

TEST_CASE_METHOD(DamagedStore, "a link in the place of a file is not followed") {
  make({Engine::kFork, std::nullopt});
  for (const auto& name : files()) {
    const std::string aside = scratch.path("aside-" + name);
    std::filesystem::rename(path(name), aside);
    std::filesystem::create_symlink(aside, path(name));
    CHECK_FALSE(store.verify(manifest.info.id, nullptr));
    CHECK_FALSE(restore());
    std::filesystem::rename(aside, path(name));
  }
}

TEST_CASE_METHOD(DamagedStore, "a broken snapshot can be removed, its children become roots") {
  make({Engine::kFork, std::nullopt});
  const Manifest child = store_snapshot(store, ram, {}, manifest.info.id);
  std::filesystem::resize_file(path(kManifestFile), 10);
  REQUIRE(store.remove(manifest.info.id));
  CHECK(store.load(child.info.id)->info.parent.empty());
  CHECK(store.list()->broken.empty());
}

}  // namespace
}  // namespace stasis::snapshot
