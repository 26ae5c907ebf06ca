#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/guarded.h"
#include "snapshot/file_identity.h"

namespace stasis::snapshot {

/// What was read from files before, each under a key, so that a later look costs no reading. For
/// files that are replaced or finished, never changed in place: one that is the same file of the
/// same time has the same contents.
/// Threads: any.
template <typename Value>
class KnownFiles {
 public:
  /// Nothing unless `identity` is what it was read from.
  std::optional<Value> find(const std::string& key, const FileIdentity& identity) const {
    return known_.with([&](const auto& known) -> std::optional<Value> {
      const auto found = known.find(key);
      if (found == known.end() || found->second.identity != identity) return std::nullopt;
      return found->second.value;
    });
  }
  void keep(const std::string& key, const FileIdentity& identity, Value value) {
    known_.with([&](auto& known) {
      known.insert_or_assign(key, Known{identity, std::move(value)});
    });
  }
  void forget(const std::string& key) {
    known_.with([&](auto& known) { known.erase(key); });
  }
  /// Forgets all but those for whose key `is_wanted(key)`.
  template <typename IsWanted>
  void keep_only(const IsWanted& is_wanted) {
    known_.with([&](auto& known) {
      std::erase_if(known, [&](const auto& entry) { return !is_wanted(entry.first); });
    });
  }

 private:
  struct Known {
    FileIdentity identity;
    Value value;
  };
  base::Guarded<std::map<std::string, Known>> known_;
};

}  // namespace stasis::snapshot
