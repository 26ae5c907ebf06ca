#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace stasis::cli {

/// How many insertions, deletions, replacements and swaps of neighbours lie between two words
/// (optimal string alignment distance).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The candidate closest to `word`; empty when none is within a third of its length (at least one
/// change).
std::string_view closest(std::string_view word, std::span<const std::string_view> candidates);

/// "; did you mean --run? (valid: --run, --stop)", with `prefix` before each word. Without the
/// first part when nothing is close, without the second when there is one and the list is long.
std::string spelling_hint(std::string_view word, std::span<const std::string_view> candidates,
                          std::string_view prefix = "");

}  // namespace stasis::cli
