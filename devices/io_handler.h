#pragma once

#include <cstdint>
#include <string_view>

namespace stasis::devices {

/// One access to a device: `offset` bytes into its range, `width` bytes wide (1, 2, 4 or 8).
struct IoAccess {
  std::uint64_t offset = 0;
  unsigned width = 1;
};

/// All ones in the low `width` bytes: what an access that nobody answers reads.
constexpr std::uint64_t all_ones(unsigned width) {
  return width >= 8 ? ~std::uint64_t{0} : (std::uint64_t{1} << (8 * width)) - 1;
}

/// Something at a range of port or memory addresses.
/// Threads: any vCPU thread, several at once; an implementation locks for itself. The caller stays
/// within the range but the guest chooses everything else, so no access may fail or abort.
class IoHandler {
 public:
  virtual ~IoHandler() = default;

  /// For logs and errors, for example "uart0".
  virtual std::string_view name() const = 0;

  /// The value in the low `access.width` bytes; bits above are ignored.
  virtual std::uint64_t read(IoAccess access) = 0;

  /// `value` has its low `access.width` bytes set, zero above.
  virtual void write(IoAccess access, std::uint64_t value) = 0;
};

}  // namespace stasis::devices
