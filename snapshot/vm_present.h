#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace stasis::snapshot {

/// One file of a disk's chain, as `current.json` names it.
struct PresentLayer {
  enum class Format : std::uint8_t { kRaw, kQcow2 };
  std::string path;  ///< absolute, or relative to the machine's folder
  Format format = Format::kRaw;

  bool operator==(const PresentLayer&) const = default;
};

/// One disk as it is now: its layers, base first; the last one is written to.
struct PresentDisk {
  std::string id;  ///< as in the configuration
  std::vector<PresentLayer> layers;

  bool operator==(const PresentDisk&) const = default;
};

/// A machine's present, as far as it is not its configuration: `current.json`. A missing file is a
/// machine without snapshots, whose disks are those of its configuration.
struct Present {
  std::vector<PresentDisk> disks;  ///< empty: as configured
  std::string current;             ///< snapshot that "now" descends from; empty: none
  std::string last_applied;        ///< snapshot; empty: none
  std::string saved_from;  ///< snapshot whose memory the next start resumes; empty: it boots
  std::string
      previous;  ///< takes the place of `current` where that snapshot is not there: it is named
                 ///< before the one step that completes it, so that no second one is needed

  bool operator==(const Present&) const = default;
};

/// The newest layout of `current.json` that this program writes and reads.
inline constexpr std::uint64_t kPresentSchema = 1;

/// kInvalidArgument when a path is not UTF-8, which JSON cannot hold.
base::Result<std::string> encode_present(const Present& present);

/// kUnsupported: of a newer schema; kCorrupt: anything that does not fit, with its place.
base::Result<Present> decode_present(std::string_view text);

}  // namespace stasis::snapshot
