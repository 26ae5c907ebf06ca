#pragma once

#include <catch2/catch.hpp>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "base/state_codec.h"

namespace stasis::devices {

/// Saved states of every version, one file each: tests/golden/<section name>/v<version>.cbor. An
/// old file is never written again; with $STASIS_WRITE_GOLDEN set, a missing one is.
template <base::DescribedState State>
std::filesystem::path golden_path(std::uint32_t version) {
  return std::filesystem::path(STASIS_GOLDEN_DIR) / std::string(State::kName) /
         ("v" + std::to_string(version) + ".cbor");
}

inline void write_missing_golden(const std::filesystem::path& path,
                                 const std::vector<std::uint8_t>& bytes) {
  if (std::getenv("STASIS_WRITE_GOLDEN") == nullptr || std::filesystem::exists(path)) return;
  std::filesystem::create_directories(path.parent_path());
  std::ofstream out(path, std::ios::binary);
  for (const std::uint8_t byte : bytes) out.put(static_cast<char>(byte));
}

/// The file of `version` decodes to `expected`; when that is this build's version, `expected`
/// encodes to the file.
template <base::DescribedState State>
void check_golden(std::uint32_t version, const State& expected) {
  const auto path = golden_path<State>(version);
  INFO(path.string());
  if (version == State::kVersion) write_missing_golden(path, base::encode_state(expected));
  std::ifstream in(path, std::ios::binary);
  REQUIRE(in.is_open());
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(in), {}};
  const auto decoded = base::decode_state<State>(bytes);
  REQUIRE(decoded.has_value());
  CHECK(*decoded == expected);
  if (version == State::kVersion) CHECK(base::encode_state(*decoded) == bytes);
}

}  // namespace stasis::devices
