#include "tests/fuzz/fuzz_manifest.h"

#include <string>

#include "base/check.h"
#include "snapshot/digest.h"
#include "snapshot/manifest.h"

namespace stasis::fuzz {

void fuzz_manifest(std::span<const std::uint8_t> input) {
  constexpr std::size_t kDigest = 20;  // `{"digest":"xxh3-128:`
  constexpr std::size_t kRest = kDigest + 32;
  std::string text(input.begin(), input.end());
  if (text.size() > kRest) {
    const auto rest = std::as_bytes(std::span(text)).subspan(kRest);
    text.replace(kDigest, 32, snapshot::to_hex(snapshot::digest_of(rest)));
  }
  const auto manifest = snapshot::decode_manifest(text);
  if (!manifest) return;
  for (const auto& file : manifest->files) {
    STASIS_CHECK(!file.name.empty() && file.name.find('/') == std::string::npos);
    STASIS_CHECK(file.name[0] != '.');
  }
  const auto again = snapshot::encode_manifest(*manifest);
  STASIS_CHECK(again.has_value());
  const auto decoded = snapshot::decode_manifest(*again);
  STASIS_CHECK(decoded && decoded->files == manifest->files && decoded->disks == manifest->disks);
}

}  // namespace stasis::fuzz
