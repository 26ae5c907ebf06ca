#include "snapshot/manifest.h"

#include "snapshot/digest.h"
#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {
namespace {

Manifest full_manifest() {
  Manifest manifest = small_manifest(new_id(), new_id());
  manifest.info.notes = "two\nlines, \"quoted\" \xC3\xBC";
  manifest.info.has_memory = true;
  manifest.info.capture = {"fork", 420, 130'000, 1 << 20, 1 << 19};
  manifest.config_json = R"({"cpus":2,"disks":[{"path":"a.img"}]})";
  manifest.disks = {{"disk0",
                     false,
                     {{"/images/base.raw", "raw", 1 << 30, 5, ""},
                      {"disks/0.qcow2", "qcow2", 1 << 20, 1'700'000'000'123'456'789, "ab"}}}};
  manifest.files = {{"ram.raw", 4096, 7, ""}, {"state.cbor", 5, 8, std::string(32, 'a')}};
  return manifest;
}

/// The text with its checksum made right again.
std::string seal(std::string text) {
  constexpr std::size_t kDigest = 20;
  constexpr std::size_t kRest = kDigest + 32;
  const auto rest = std::as_bytes(std::span(text)).subspan(kRest);
  return text.replace(kDigest, 32, to_hex(digest_of(rest)));
}

std::string with(const std::string& from, const std::string& to) {
  std::string text = *encode_manifest(full_manifest());
  const auto place = text.find(from);
  REQUIRE(place != std::string::npos);
  return seal(text.replace(place, from.size(), to));
}

TEST_CASE("a manifest comes back as it was, every field") {
  const Manifest manifest = full_manifest();
  const auto text = encode_manifest(manifest);
  REQUIRE(text);
  const auto decoded = decode_manifest(*text);
  if (!decoded) FAIL(decoded.error().message());
  CHECK(*encode_manifest(*decoded) == *text);
  CHECK(decoded->info.notes == manifest.info.notes);
  CHECK(decoded->info.parent == manifest.info.parent);
  CHECK(decoded->info.capture.pause_us == 420);
  CHECK(decoded->config_json == manifest.config_json);
  CHECK(decoded->disks == manifest.disks);
  CHECK(decoded->files == manifest.files);
  CHECK(seal(*text) == *text);
}

TEST_CASE("what does not fit is refused with its place") {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"\"format\": \"stasis-snapshot\"", "\"format\": \"other\"", "format"},
      {"\"schema\": 1", "\"schema\": 0", "schema"},
      {"\"kind\": \"full\"", "\"kind\": \"half\"", "kind"},
      {"\"has_memory\": true", "\"has_memory\": 1", "has_memory"},
      {"\"pause_us\": 420", "\"pause_us\": -1", "pause_us"},
      {"\"ram.raw\"", "\"../ram.raw\"", "files[0]: name"},
      {"\"ram.raw\"", "\".hidden\"", "files[0]: name"},
      {"\"ram.raw\"", "\"manifest.json\"", "files[0]: name"},
      {"\"ram.raw\"", "\"a\\u0000b\"", "files[0]: name"},
      {"\"disks/0.qcow2\"", "\"disks/../../0.qcow2\"", "disks[0]: layers[1]: path"},
      {"\"disks/0.qcow2\"", "\"..\"", "disks[0]: layers[1]: path"},
      {"\"/images/base.raw\"", "\"\"", "disks[0]: layers[0]: path"},
      {std::string(32, 'a'), std::string(31, 'a'), "files[1]: digest"},
      {std::string(32, 'a'), std::string(32, 'g'), "files[1]: digest"},
      {"00000000-0000-4000-8000-000000000001", "../vm", "vm_id"},
      {"before the update", "", "name"},
      {"\"config\": {", "\"config\": 5, \"x\": {", "config"},
      {"\"vm_id\"", "\"more\": 1, \"vm_id\"", "more"},
  };
  for (const auto& [from, to, place] : cases) {
    INFO(from << " -> " << to);
    const auto decoded = decode_manifest(with(from, to));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().kind() == base::ErrorKind::kCorrupt);
    INFO(decoded.error().message());
    CHECK(decoded.error().message().find(place) != std::string::npos);
  }
}

TEST_CASE("a manifest nested without end is refused, not followed") {
  for (const std::string open : {"[", "{\"a\":"}) {
    std::string text = R"({"config":)";
    for (int i = 0; i < 300'000; ++i) text += open;
    const auto decoded = decode_manifest(text);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().kind() == base::ErrorKind::kCorrupt);
  }
}

TEST_CASE("a manifest that is too large is neither written nor read") {
  Manifest manifest = full_manifest();
  manifest.info.notes = std::string(kMaxManifestBytes, 'x');
  CHECK(encode_manifest(manifest).error().kind() == base::ErrorKind::kInvalidArgument);
  CHECK_FALSE(decode_manifest(std::string(kMaxManifestBytes + 1, ' ')));
}

TEST_CASE("a configuration that is no JSON is refused when it is given") {
  Manifest manifest = full_manifest();
  manifest.config_json = "{\"a\":";
  CHECK(encode_manifest(manifest).error().kind() == base::ErrorKind::kInvalidArgument);
}

}  // namespace
}  // namespace stasis::snapshot
