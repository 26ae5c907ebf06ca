// tests/format/read_snapshot.py, written from docs/snapshot-format.md alone, reads what we write.
#include <nlohmann/json.hpp>

#include "snapshot/digest.h"
#include "snapshot/state_file.h"
#include "tests/unit/snapshot/snapshot_fixtures.h"

namespace stasis::snapshot {
namespace {

struct SecondReader {
  ScratchFolder scratch;
  PlainRam ram;
  SnapshotStore store = *SnapshotStore::open(scratch.path("snapshots"));
  std::vector<vmm::StateSection> sections{{"vm", std::vector<std::uint8_t>(300, 7)},
                                          {"vcpu.0", {0xA0}}};
  std::string folder;

  void make(const RamCaptureOptions& options) {
    auto pending = store.begin(new_id());
    REQUIRE(pending);
    Manifest manifest = small_manifest(pending->id());
    manifest.info.name =
        "Gr\xC3\xB6\xC3\x9F"
        "e \"1\"";
    manifest.info.has_memory = true;
    manifest.config_json = R"({"cpus":2})";
    manifest.files = capture_into(pending->folder(), ram, options).files;
    manifest.files.push_back(*pending->write_file(kStateFile, encode_state_file(sections)));
    REQUIRE(pending->commit(manifest));
    folder = scratch.path("snapshots/" + pending->id());
  }
  bool read() const {
    const std::string command = std::string("/usr/bin/python3 ") + STASIS_GOLDEN_DIR +
                                "/../format/read_snapshot.py " + folder + " --memory " +
                                scratch.path("memory") + " > " + scratch.path("answer") + " 2> " +
                                scratch.path("complaint");
    return std::system(command.c_str()) == 0;
  }
};

TEST_CASE_METHOD(SecondReader, "a reader written from the document alone reads our snapshots") {
  ram.fill();
  make(GENERATE(from_range(kBothLayouts)));
  const bool is_read = read();
  INFO(read_file(scratch.path("complaint")));
  REQUIRE(is_read);
  const auto answer = nlohmann::json::parse(read_file(scratch.path("answer")));
  CHECK(answer["name"] ==
        "Gr\xC3\xB6\xC3\x9F"
        "e \"1\"");
  REQUIRE(answer["sections"].size() == sections.size());
  for (std::size_t i = 0; i < sections.size(); ++i) {
    CHECK(answer["sections"][i]["name"] == sections[i].name);
    CHECK(answer["sections"][i]["xxh3-128"] ==
          to_hex(digest_of(std::as_bytes(std::span(sections[i].cbor)))));
  }
  const auto memory = ram.copy();
  CHECK(read_file(scratch.path("memory")) ==
        std::string(reinterpret_cast<const char*>(memory.data()), memory.size()));
}

TEST_CASE_METHOD(SecondReader, "the other reader names damaged files, too") {
  ram.fill();
  make(GENERATE(from_range(kBothLayouts)));
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const auto place = static_cast<off_t>(entry.file_size() * 2 / 3);
    const auto fd = *base::open_file(entry.path(), O_RDWR);
    char byte = 0;
    REQUIRE(::pread(fd.get(), &byte, 1, place) == 1);
    const char changed = static_cast<char>(byte ^ 1);
    REQUIRE(::pwrite(fd.get(), &changed, 1, place) == 1);
    INFO(entry.path());
    CHECK_FALSE(read());
    const std::string name = entry.path().filename();
    const std::string wanted = name == "ram.raw" ? "memory: checksum of block" : name;
    CHECK(read_file(scratch.path("complaint")).find(wanted) != std::string::npos);
    REQUIRE(::pwrite(fd.get(), &byte, 1, place) == 1);
  }
  CHECK(read());
}

}  // namespace
}  // namespace stasis::snapshot
