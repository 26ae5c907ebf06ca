#pragma once

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/unit/devices/block_test_support.h"

namespace stasis::devices::testing {

/// A disk beside the bytes that it should have, and random work for both.
class ModelDisk {
 public:
  /// `discard_unit`: what a discard has to cover wholly to have an effect; 1: the range itself.
  ModelDisk(BlockImage& disk, std::vector<std::byte>& bytes, unsigned seed)
      : disk_(disk), bytes_(bytes), random_(seed) {}

  /// Sets the cluster size of the top; 1 for a raw one.
  void set_unit(std::uint64_t unit) { unit_ = unit; }

  /// Up to `count` requests at once that do not overlap, now and then a flush among them.
  void work(unsigned count) {
    taken_.clear();
    buffers_.clear();
    errors_ = 0;
    for (unsigned i = 0; i < count; ++i) submit_one();
    disk_.kick();
    REQUIRE(disk_.drain(BlockImage::kForever));
    REQUIRE(errors_ == 0);
  }

  void flush() { REQUIRE(run(disk_, range(BlockOperation::kFlush, 0, 0)) == 0); }

  /// All of the disk, in pieces of a random size.
  void check() {
    std::uint64_t at = 0;
    while (at < bytes_.size()) {
      const std::uint64_t size =
          std::min<std::uint64_t>(bytes_.size() - at, 512 * (1 + random() % 1024));
      const auto read = contents(disk_, at, size);
      const bool is_same = std::memcmp(read.data(), bytes_.data() + at, size) == 0;
      INFO("at " << at << ", " << size << " bytes");
      CHECK(is_same);
      at += size;
    }
  }

 private:
  unsigned random() { return static_cast<unsigned>(random_()); }

  std::uint64_t random_size() {
    const std::uint64_t limit = random() % 8 == 0 ? 600 : random() % 2 == 0 ? 150 : 9;
    return 512 * (1 + random() % limit);
  }

  bool take(std::uint64_t offset, std::uint64_t size) {
    for (std::uint64_t s = offset / 512; s < (offset + size) / 512; ++s) {
      if (taken_.count(s) != 0) return false;
    }
    for (std::uint64_t s = offset / 512; s < (offset + size) / 512; ++s) taken_.insert(s);
    return true;
  }

  void submit_one() {
    const std::uint64_t sectors = bytes_.size() / 512;
    const std::uint64_t offset = 512 * (random() % sectors);
    const std::uint64_t size = std::min(random_size(), bytes_.size() - offset);
    const unsigned choice = random() % 20;
    if (choice == 0) return submit(range(BlockOperation::kFlush, 0, 0));
    if (!take(offset, size)) return;
    if (choice < 4) return discard(offset, size);
    if (choice < 7) return write_zeroes(offset, size);
    if (choice < 10) return read(offset, size);
    write(offset, size);
  }

  void submit(BlockRequest request) {
    request.done = [this](int error) { errors_ += error != 0 ? 1 : 0; };
    disk_.submit(std::move(request));
  }

  void write(std::uint64_t offset, std::uint64_t size) {
    auto& buffer = buffers_.emplace_back(pattern(size, random()));
    std::memcpy(bytes_.data() + offset, buffer.data(), size);
    auto request = transfer(BlockOperation::kWrite, offset, buffer);
    if (size > 1024) {  // in two buffers that end at no cluster's end
      request.buffers = {{buffer.data(), 700}, {buffer.data() + 700, size - 700}};
    }
    submit(std::move(request));
  }

  void read(std::uint64_t offset, std::uint64_t size) {
    auto& buffer = buffers_.emplace_back(size);
    auto request = transfer(BlockOperation::kRead, offset, buffer);
    request.done = [this, &buffer, offset](int error) {
      if (error != 0 || std::memcmp(buffer.data(), bytes_.data() + offset, buffer.size()) != 0) {
        ++errors_;
      }
    };
    disk_.submit(std::move(request));
  }

  void write_zeroes(std::uint64_t offset, std::uint64_t size) {
    std::memset(bytes_.data() + offset, 0, size);
    auto request = range(BlockOperation::kWriteZeroes, offset, size);
    request.may_unmap = random() % 2 == 0;
    submit(std::move(request));
  }

  void discard(std::uint64_t offset, std::uint64_t size) {
    const std::uint64_t start = (offset + unit_ - 1) / unit_ * unit_;
    const std::uint64_t end =
        offset + size == bytes_.size() ? bytes_.size() : (offset + size) / unit_ * unit_;
    if (start < end) std::memset(bytes_.data() + start, 0, end - start);
    submit(range(BlockOperation::kDiscard, offset, size));
  }

  BlockImage& disk_;
  std::vector<std::byte>& bytes_;
  std::mt19937 random_;
  std::uint64_t unit_ = 1;
  std::set<std::uint64_t> taken_;
  std::deque<std::vector<std::byte>> buffers_;
  int errors_ = 0;
};

/// `bytes` as a raw file, for comparisons.
inline void save_raw(const std::string& path, const std::vector<std::byte>& bytes) {
  const base::Fd fd = base::open_file(path, O_RDWR | O_CREAT | O_TRUNC).value();
  REQUIRE(::pwrite(fd.get(), bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
}

}  // namespace stasis::devices::testing
