#include "cli/spelling.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

namespace stasis::cli {

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    before_last.swap(last);
    last.swap(row);
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before_last[j - 2] + 1);
    }
  }
  return row[b.size()];
}

std::string_view closest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t best_distance = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance >= best_distance) continue;
    best = candidate;
    best_distance = distance;
  }
  return best;
}

std::string spelling_hint(std::string_view word, std::span<const std::string_view> candidates,
                          std::string_view prefix) {
  constexpr std::size_t kShortList = 5;
  const std::string_view best = closest(word, candidates);
  std::string list;
  for (const std::string_view candidate : candidates) {
    list += fmt::format("{}{}{}", list.empty() ? "" : ", ", prefix, candidate);
  }
  if (best.empty()) return fmt::format("; valid: {}", list);
  if (candidates.size() > kShortList) return fmt::format("; did you mean {}{}?", prefix, best);
  return fmt::format("; did you mean {}{}? (valid: {})", prefix, best, list);
}

}  // namespace stasis::cli
