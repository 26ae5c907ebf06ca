#pragma once

#include <cstdint>

#include "devices/io_handler.h"

namespace stasis::devices {

/// A chip with byte-wide registers: a wider access becomes one access a byte, lowest address first,
/// as the ISA bus splits it.
class ByteIoHandler : public IoHandler {
 public:
  std::uint64_t read(IoAccess access) final {
    std::uint64_t value = 0;
    for (unsigned i = 0; i < access.width; ++i) {
      value |= std::uint64_t{read_byte(access.offset + i)} << (8 * i);
    }
    return value;
  }
  void write(IoAccess access, std::uint64_t value) final {
    for (unsigned i = 0; i < access.width; ++i) {
      write_byte(access.offset + i, static_cast<std::uint8_t>(value >> (8 * i)));
    }
  }

 private:
  virtual std::uint8_t read_byte(std::uint64_t offset) = 0;
  virtual void write_byte(std::uint64_t offset, std::uint8_t value) = 0;
};

}  // namespace stasis::devices
