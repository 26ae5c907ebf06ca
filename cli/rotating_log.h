#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "devices/byte_stream.h"

namespace stasis::cli {

/// What a guest prints, in a file that it cannot let grow for ever: at `limit` bytes PATH becomes
/// PATH.1, in place of the one before, and begins anew. A disk that is full loses output, no more.
/// Threads: one at a time.
class RotatingLog final : public devices::ByteSink {
 public:
  static constexpr std::uint64_t kLimit = std::uint64_t{16} << 20;

  /// Appends; creates with mode 0600. Errors name the file.
  static base::Result<std::unique_ptr<RotatingLog>> append_to(std::string path,
                                                              std::uint64_t limit = kLimit);

  void write(std::span<const std::uint8_t> bytes) override;

 private:
  RotatingLog(std::string path, std::uint64_t limit, base::Fd file, std::uint64_t size)
      : path_(std::move(path)), limit_(limit), file_(std::move(file)), size_(size) {}
  void rotate();

  const std::string path_;
  const std::uint64_t limit_;
  base::Fd file_;
  std::uint64_t size_;
};

}  // namespace stasis::cli
