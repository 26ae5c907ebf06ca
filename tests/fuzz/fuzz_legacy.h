#pragma once

#include <cstdint>
#include <span>

/// Fuzz functions of the legacy devices: bytes become guest accesses and host input, run twice,
/// once with a save and a restore (by way of bytes) in mid-stream. They abort when the guest could
/// tell. Input: byte 0 says before which step to restore (modulo their number); then three bytes a
/// step (operation, offset, value).
namespace stasis::fuzz {

void fuzz_uart_16550(std::span<const std::uint8_t> data);
void fuzz_i8042(std::span<const std::uint8_t> data);
void fuzz_cmos_rtc(std::span<const std::uint8_t> data);
void fuzz_pv_panic(std::span<const std::uint8_t> data);
void fuzz_acpi_pm(std::span<const std::uint8_t> data);

/// `data` is a saved state of whatever device it decodes as: what is accepted must encode and
/// decode to itself.
void fuzz_legacy_states(std::span<const std::uint8_t> data);

/// One of the above, chosen by byte 0, fed with the rest.
void fuzz_legacy(std::span<const std::uint8_t> data);

}  // namespace stasis::fuzz
