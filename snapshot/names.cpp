#include "snapshot/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace stasis::snapshot {
namespace {

constexpr std::size_t kMaxVmName = 64;
constexpr std::size_t kMaxSnapshotName = 100;

bool is_alphanumeric(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z') ||
         (letter >= '0' && letter <= '9');
}

base::Status refuse(std::string_view what, std::string_view name, std::string_view why) {
  return base::fail(base::ErrorKind::kInvalidArgument,
                    fmt::format("{} \"{}\": {}", what, name, why));
}

/// Bytes of the UTF-8 sequence that starts with `lead`; 0 for a byte that starts none.
std::size_t sequence_length(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead < 0xE0) return 2;
  if (lead >= 0xE0 && lead < 0xF0) return 3;
  if (lead >= 0xF0 && lead < 0xF5) return 4;
  return 0;
}

}  // namespace

base::Status check_vm_name(std::string_view name) {
  constexpr std::string_view kWhat = "machine name";
  if (name.empty()) return refuse(kWhat, name, "is empty; write letters and digits, such as web1");
  if (name.size() > kMaxVmName) {
    return refuse(kWhat, name, fmt::format("{} letters; at most {}", name.size(), kMaxVmName));
  }
  if (!is_alphanumeric(name[0])) return refuse(kWhat, name, "start it with a letter or a digit");
  const auto bad = std::find_if(name.begin(), name.end(), [](char letter) {
    return !is_alphanumeric(letter) && letter != '.' && letter != '_' && letter != '-';
  });
  if (bad == name.end()) return {};
  return refuse(kWhat, name, "use letters, digits, '.', '_' and '-' only");
}

std::optional<std::size_t> count_characters(std::string_view text) {
  std::size_t count = 0;
  while (!text.empty()) {
    const auto lead = static_cast<unsigned char>(text[0]);
    const std::size_t length = sequence_length(lead);
    if (length == 0 || length > text.size()) return std::nullopt;
    const auto second = static_cast<unsigned char>(length > 1 ? text[1] : 0x80);
    const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
    const bool beyond = (lead == 0xED && second > 0x9F) || (lead == 0xF4 && second > 0x8F);
    const auto is_continuation = [](char byte) {
      return (static_cast<unsigned char>(byte) & 0xC0) == 0x80;
    };
    const std::string_view rest = text.substr(1, length - 1);
    if (overlong || beyond || !std::all_of(rest.begin(), rest.end(), is_continuation)) {
      return std::nullopt;
    }
    text.remove_prefix(length);
    ++count;
  }
  return count;
}

base::Status check_snapshot_name(std::string_view name) {
  constexpr std::string_view kWhat = "snapshot name";
  const auto characters = count_characters(name);
  if (!characters) {
    return base::fail(base::ErrorKind::kInvalidArgument, "snapshot name: not valid UTF-8");
  }
  const auto is_control = [](char letter) {
    return static_cast<unsigned char>(letter) < 0x20 || letter == 0x7F;
  };
  if (std::any_of(name.begin(), name.end(), is_control)) {
    return base::fail(base::ErrorKind::kInvalidArgument,
                      "snapshot name: has control characters; leave them out");
  }
  if (*characters > kMaxSnapshotName) {
    return refuse(kWhat, name,
                  fmt::format("{} characters; at most {}", *characters, kMaxSnapshotName));
  }
  if (name.find_first_not_of(' ') == std::string_view::npos) {
    return refuse(kWhat, name, "is blank; write one, or leave it out for a date");
  }
  return {};
}

}  // namespace stasis::snapshot
