#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/guest_memory.h"
#include "base/mapping.h"
#include "snapshot/ram_capture.h"
#include "snapshot/ram_index.h"
#include "snapshot/snapshot_store.h"
#include "snapshot/uuid.h"
#include "snapshot/vm_control.h"

namespace stasis::snapshot {

/// A folder that goes with the test. In memory where there is such a place: tests make thousands of
/// files durable.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_(std::string(::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp") +
              "/stasis-test-XXXXXX") {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
  }
  ~ScratchFolder() { std::filesystem::remove_all(path_); }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;

  std::string path(const std::string& name = "") const {
    return name.empty() ? path_ : path_ + "/" + name;
  }
  base::Fd open() const {
    auto fd = base::open_file(path_, O_RDONLY | O_DIRECTORY);
    REQUIRE(fd);
    return std::move(*fd);
  }

 private:
  std::string path_;
};

/// Memory of a guest that never was: two regions, as below and above the 32-bit hole.
class PlainRam {
 public:
  explicit PlainRam(std::uint64_t low_pages = 512, std::uint64_t high_pages = 700)
      : low_(map(low_pages)), high_(map(high_pages)) {}

  std::vector<base::MemoryRegion> regions() const {
    return {{{0}, low_.bytes()}, {{std::uint64_t{1} << 32}, high_.bytes()}};
  }
  std::uint64_t size() const { return low_.size() + high_.size(); }
  std::byte* page(std::uint64_t number) const {
    const std::uint64_t position = number * kPageBytes;
    return position < low_.size() ? low_.data() + position : high_.data() + position - low_.size();
  }
  void fill_page(std::uint64_t number, std::uint64_t seed) const {
    std::mt19937_64 random(seed * 1000 + number);
    for (std::uint64_t i = 0; i < kPageBytes; i += sizeof(std::uint64_t)) {
      // Half of it compresses.
      const std::uint64_t word = i % 16 == 0 ? random() : seed;
      std::memcpy(page(number) + i, &word, sizeof word);
    }
  }
  /// Pages as in a guest: dense stretches, lone ones, zeros that were touched, much untouched.
  void fill(std::uint64_t seed = 1) const {
    const std::uint64_t pages = size() / kPageBytes;
    for (std::uint64_t i = 0; i < pages / 3; ++i) fill_page(i, seed);
    for (std::uint64_t i = pages / 3; i < pages; i += 13) fill_page(i, seed);
    for (std::uint64_t i = pages / 3 + 1; i < pages; i += 7) *page(i) = std::byte{0};
    fill_page(pages - 1, seed);
  }
  std::vector<std::byte> copy() const {
    std::vector<std::byte> bytes(low_.bytes().begin(), low_.bytes().end());
    bytes.insert(bytes.end(), high_.bytes().begin(), high_.bytes().end());
    return bytes;
  }

 private:
  static base::Mapping map(std::uint64_t pages) {
    auto mapping = base::Mapping::anonymous(pages * kPageBytes);
    REQUIRE(mapping);
    return std::move(*mapping);
  }

  base::Mapping low_;
  base::Mapping high_;
};

class CountingObserver : public WorkObserver {
 public:
  void progressed(std::uint64_t done, std::uint64_t total) override {
    CHECK(done >= done_);
    CHECK((total == 0 || done <= total));
    done_ = done;
    total_ = total;
    if (done >= cancel_at) is_cancelled_ = true;
  }
  bool is_cancelled() const override { return is_cancelled_; }
  void committing() override {}

  std::uint64_t cancel_at = ~std::uint64_t{0};
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
  bool is_cancelled_ = false;
};

/// Files written from here on have another time than those before: the kernel's clock for them
/// ticks once in up to 10 ms.
inline void wait_for_new_times() {
  ::usleep(20'000);
}

inline std::string new_id() {
  return *make_uuid();
}

inline std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

inline Manifest small_manifest(const std::string& id, const std::string& parent = "") {
  Manifest manifest;
  manifest.info.id = id;
  manifest.info.name = "before the update";
  manifest.info.parent = parent;
  manifest.info.created_unix_us = 1'700'000'000'000'000;
  manifest.vm_id = "00000000-0000-4000-8000-000000000001";
  return manifest;
}

inline RamCaptureResult capture_into(const base::Fd& folder, const PlainRam& ram,
                                     const RamCaptureOptions& options,
                                     const FileOps& ops = host_file_ops()) {
  CountingObserver observer;
  auto capture = prepare_ram_capture(folder, ram.size(), options, ops);
  REQUIRE(capture);
  const auto captured = (*capture)->capture(ram.regions(), observer);
  if (!captured) FAIL(captured.error().message());
  auto result = (*capture)->finish(observer);
  if (!result) FAIL(result.error().message());
  return std::move(*result);
}

/// A whole snapshot of `ram`, committed.
inline Manifest store_snapshot(const SnapshotStore& store, const PlainRam& ram,
                               const RamCaptureOptions& options, const std::string& parent = "") {
  auto pending = store.begin(new_id());
  REQUIRE(pending);
  Manifest manifest = small_manifest(pending->id(), parent);
  manifest.info.has_memory = true;
  manifest.files = capture_into(pending->folder(), ram, options).files;
  const std::vector<std::uint8_t> state{1, 2, 3};
  manifest.files.push_back(*pending->write_file("state.cbor", state));
  const auto committed = pending->commit(manifest);
  if (!committed) FAIL(committed.error().message());
  return manifest;
}

inline const std::vector<RamCaptureOptions> kBothLayouts{{Engine::kFork, std::nullopt},
                                                         {Engine::kFork, 3}};

}  // namespace stasis::snapshot
