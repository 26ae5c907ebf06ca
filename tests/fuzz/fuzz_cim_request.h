#pragma once

#include <cstdint>
#include <span>

namespace stasis::fuzz {

/// Takes the bytes for the body of a CIM-XML request, for the settings of a snapshot, for an answer
/// and for an object path. A request that is understood is answered, and the answer can be read.
void fuzz_cim_request(std::span<const std::uint8_t> input);

}  // namespace stasis::fuzz
