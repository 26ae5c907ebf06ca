#include "cli/snapshot_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "cli/size_text.h"
#include "cli/spelling.h"
#include "cli/time_text.h"

namespace stasis::cli {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;
using snapshot::SnapshotInfo;
using Snapshots = std::vector<SnapshotInfo>;

constexpr std::size_t kShortId = 8;

template <typename Fits>
Snapshots filter(const Snapshots& snapshots, Fits fits) {
  Snapshots found;
  std::copy_if(snapshots.begin(), snapshots.end(), std::back_inserter(found), fits);
  return found;
}

std::string upper(std::string_view word) {
  std::string text(word);
  for (char& letter : text) {
    letter = static_cast<char>(std::toupper(static_cast<unsigned char>(letter)));
  }
  return text;
}

tl::unexpected<base::Error> several(std::string_view word, const Snapshots& found) {
  std::string ids;
  for (const SnapshotInfo& one : found) ids += (ids.empty() ? "" : ", ") + one.id;
  return fail(
      ErrorKind::kInvalidArgument,
      fmt::format("snapshot \"{}\": there are {}; give an id: {}", word, found.size(), ids));
}

tl::unexpected<base::Error> none(std::string_view word, const Snapshots& snapshots) {
  if (snapshots.empty()) {
    return fail(ErrorKind::kNotFound,
                fmt::format("snapshot \"{}\": not found; there is none, make one with: stasis "
                            "snapshot create",
                            word));
  }
  std::vector<std::string_view> names;
  for (const SnapshotInfo& one : snapshots) names.push_back(one.name);
  return fail(ErrorKind::kNotFound,
              fmt::format("snapshot \"{}\": not found{}", word, spelling_hint(word, names)));
}

std::string line_of(const SnapshotInfo& one, std::size_t depth, std::string_view current) {
  const std::string_view kind = one.kind == snapshot::SnapshotKind::kDisk ? "disk"
                                : one.has_memory                          ? "full"
                                                                          : "full, no memory";
  return fmt::format("{}{:{}}{}  {}  {}  {}, {}\n", one.id == current ? "* " : "  ", "", 2 * depth,
                     one.id.substr(0, kShortId), local_text(one.created_unix_us), one.name, kind,
                     format_size(one.capture.stored_bytes));
}

/// Depth first without recursion: how deep a chain is, is not ours to say.
std::string tree_text(const Snapshots& snapshots, std::string_view current) {
  std::set<std::string> ids;
  for (const SnapshotInfo& one : snapshots) ids.insert(one.id);
  const auto parent_of = [&](const SnapshotInfo& one) {
    return ids.contains(one.parent) ? one.parent : std::string();
  };
  std::vector<std::pair<const SnapshotInfo*, std::size_t>> open;
  const auto push_children = [&](const std::string& parent, std::size_t depth) {
    for (auto one = snapshots.rbegin(); one != snapshots.rend(); ++one) {
      if (parent_of(*one) == parent) open.emplace_back(&*one, depth);
    }
  };
  std::string text;
  push_children("", 0);
  while (!open.empty()) {
    const auto [one, depth] = open.back();
    open.pop_back();
    text += line_of(*one, depth, current);
    push_children(one->id, depth + 1);  // a circle has no root, so it is never entered
  }
  return text;
}

}  // namespace

Result<SnapshotInfo> choose_snapshot(const Snapshots& snapshots, std::string_view word) {
  constexpr std::size_t kLeastPrefix = 4;
  const std::string id = upper(word);
  const auto by_id = filter(snapshots, [&](const SnapshotInfo& one) { return one.id == id; });
  if (!by_id.empty()) return by_id.front();
  const auto by_name = filter(snapshots, [&](const SnapshotInfo& one) { return one.name == word; });
  if (by_name.size() == 1) return by_name.front();
  if (!by_name.empty()) return several(word, by_name);
  if (id.size() < kLeastPrefix) return none(word, snapshots);
  const auto by_prefix =
      filter(snapshots, [&](const SnapshotInfo& one) { return one.id.starts_with(id); });
  if (by_prefix.size() == 1) return by_prefix.front();
  return by_prefix.empty() ? none(word, snapshots) : several(word, by_prefix);
}

std::string snapshots_text(const Snapshots& snapshots, bool as_tree, std::string_view current) {
  if (as_tree) return tree_text(snapshots, current);
  std::string text;
  for (const SnapshotInfo& one : snapshots) text += line_of(one, 0, current);
  return text;
}

std::string capture_text(const snapshot::CaptureReport& capture) {
  constexpr double kPerMs = 1000.0;
  return fmt::format("engine {}, paused {:.2f} ms, captured {}, stored {}, {:.0f} ms in all",
                     capture.engine, static_cast<double>(capture.pause_us) / kPerMs,
                     format_size(capture.captured_bytes), format_size(capture.stored_bytes),
                     static_cast<double>(capture.total_us) / kPerMs);
}

}  // namespace stasis::cli
