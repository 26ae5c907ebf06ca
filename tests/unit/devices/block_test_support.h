#pragma once

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "devices/block/layered_disk.h"

namespace stasis::devices::testing {

/// A folder that goes with its contents.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "stasis-block-XXXXXX").string();
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  /// A sparse file of `size` bytes that begins with `start`.
  std::string make_file(const std::string& name, std::uint64_t size,
                        std::string_view start = {}) const {
    std::string path = *this / name;
    const base::Fd fd = base::open_file(path, O_RDWR | O_CREAT | O_TRUNC).value();
    REQUIRE(::pwrite(fd.get(), start.data(), start.size(), 0) ==
            static_cast<ssize_t>(start.size()));
    REQUIRE(::ftruncate(fd.get(), static_cast<off_t>(size)) == 0);
    return path;
  }

 private:
  std::string path_;
};

inline auto open_raw_disk(const std::string& path, LayeredDisk::Options options, EventLoop& loop) {
  return LayeredDisk::open({{path, ImageFormat::kRaw}}, options, loop);
}

inline std::vector<std::byte> pattern(std::size_t size, unsigned seed) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) {
    bytes[i] = static_cast<std::byte>((i * 7 + i / 251 + seed) & 0xff);
  }
  return bytes;
}

inline BlockRequest transfer(BlockOperation operation, std::uint64_t offset,
                             std::span<std::byte> bytes) {
  BlockRequest request;
  request.operation = operation;
  request.offset = offset;
  request.size = bytes.size();
  request.buffers = {{bytes.data(), bytes.size()}};
  return request;
}

inline BlockRequest range(BlockOperation operation, std::uint64_t offset, std::uint64_t size) {
  BlockRequest request;
  request.operation = operation;
  request.offset = offset;
  request.size = size;
  return request;
}

/// Runs one request to its end; its errno value.
inline int run(BlockImage& image, BlockRequest request) {
  std::optional<int> result;
  request.done = [&result](int error) { result = error; };
  image.submit(std::move(request));
  image.kick();
  REQUIRE(image.drain(BlockImage::kForever));
  REQUIRE(result.has_value());
  return *result;
}

inline std::vector<std::byte> contents(BlockImage& image, std::uint64_t offset, std::size_t size) {
  std::vector<std::byte> bytes(size);
  REQUIRE(run(image, transfer(BlockOperation::kRead, offset, bytes)) == 0);
  return bytes;
}

}  // namespace stasis::devices::testing
