// The text form of object paths (DSP0207; the WMI spelling is accepted, too).
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "cimapi/value.h"

namespace stasis::cimapi {
namespace {

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    out += letter;
  }
  return out + '"';
}

std::string key_value_text(const Value& value) {
  if (const ObjectPath* path = value.as_reference()) return quoted(to_text(*path));
  return value.type == Type::kString || value.type == Type::kDatetime ? quoted(value.as_text())
                                                                      : value.as_text();
}

bool is_name(std::string_view text) {
  return !text.empty() && (text[0] < '0' || text[0] > '9') &&
         std::all_of(text.begin(), text.end(), [](char letter) {
           return letter == '_' || (letter >= '0' && letter <= '9') ||
                  (letter >= 'A' && letter <= 'Z') || (letter >= 'a' && letter <= 'z');
         });
}

/// Takes the `Name=value` pairs of a path one after the other.
class KeyScanner {
 public:
  explicit KeyScanner(std::string_view text) : rest_(text) {}

  bool at_end() const { return rest_.empty(); }

  std::optional<Property> next() {
    const std::size_t equals = rest_.find('=');
    if (equals == std::string_view::npos || !is_name(rest_.substr(0, equals))) return std::nullopt;
    Property key{std::string(rest_.substr(0, equals)), {}};
    rest_.remove_prefix(equals + 1);
    const auto value = rest_.starts_with('"') ? take_quoted() : take_plain();
    if (!value) return std::nullopt;
    key.value = Value::text(*value);
    if (rest_.empty()) return key;
    if (rest_.size() < 2 || rest_[0] != ',') return std::nullopt;
    rest_.remove_prefix(1);
    return key;
  }

 private:
  std::optional<std::string> take_quoted() {
    std::string out;
    for (std::size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] == '"') {
        rest_.remove_prefix(i + 1);
        return out;
      }
      if (rest_[i] == '\\' && ++i == rest_.size()) break;
      out += rest_[i];
    }
    return std::nullopt;
  }

  std::optional<std::string> take_plain() {
    const std::size_t end = std::min(rest_.find(','), rest_.size());
    std::string out(rest_.substr(0, end));
    rest_.remove_prefix(end);
    if (out.empty() || out.find_first_of("\"= ") != std::string::npos) return std::nullopt;
    return out;
  }

  std::string_view rest_;
};

/// `//host/name/space` or `\\host\name\space` or `name/space`, as `name/space`.
std::string name_space_of(std::string_view text) {
  std::string out(text);
  std::replace(out.begin(), out.end(), '\\', '/');
  if (out.starts_with("//")) {
    const std::size_t host_end = out.find('/', 2);
    return host_end == std::string::npos ? std::string() : out.substr(host_end + 1);
  }
  return out.starts_with('/') ? out.substr(1) : out;
}

}  // namespace

std::string to_text(const ObjectPath& path) {
  std::string out =
      path.name_space.empty() ? path.class_name : path.name_space + ":" + path.class_name;
  char separator = '.';
  for (const Property& key : path.keys) {
    out += fmt::format("{}{}={}", separator, key.name, key_value_text(key.value));
    separator = ',';
  }
  return out;
}

ObjectPath path_from_text(std::string_view text) {
  ObjectPath path;
  const std::size_t colon = text.substr(0, text.find_first_of("=\"")).rfind(':');
  if (colon != std::string_view::npos) {
    path.name_space = name_space_of(text.substr(0, colon));
    text.remove_prefix(colon + 1);
  }
  const std::size_t keys_at = text.find('.');
  const std::string_view head = text.substr(0, keys_at);
  if (!is_name(head)) return {};
  if (keys_at != std::string_view::npos) {
    KeyScanner scanner(text.substr(keys_at + 1));
    while (!scanner.at_end()) {
      auto key = scanner.next();
      if (!key) return {};
      path.keys.push_back(std::move(*key));
    }
  }
  path.class_name = head;
  return path;
}

}  // namespace stasis::cimapi
