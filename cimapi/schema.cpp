#include "cimapi/schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr std::string_view kWhitespace = " \n\t";
constexpr std::string_view kPunctuation = "[](){},:;";
constexpr std::string_view kWordEnds = " \n\t[](){},:;";

/// Words, "strings" (with their opening quote) and punctuation, one after the other.
class Tokens {
 public:
  explicit Tokens(std::string_view text) : rest_(text) { advance(); }

  std::string_view peek() const { return current_; }
  std::string_view take() {
    const std::string_view token = current_;
    advance();
    return token;
  }
  bool take_if(std::string_view token) {
    if (current_ != token) return false;
    advance();
    return true;
  }
  Result<void> expect(std::string_view token) {
    if (take_if(token)) return {};
    return fail(ErrorKind::kInternal,
                fmt::format("schema: expected \"{}\" before \"{}\"", token, current_));
  }

 private:
  void advance() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(kWhitespace), rest_.size()));
    std::size_t length = std::min(rest_.find_first_of(kWordEnds), rest_.size());
    std::size_t skipped = 0;
    if (rest_.starts_with('"')) {
      length = std::min(rest_.find('"', 1), rest_.size());
      skipped = 1;  // the closing quote
    } else if (!rest_.empty() && kPunctuation.find(rest_[0]) != std::string_view::npos) {
      length = 1;
    }
    current_ = rest_.substr(0, length);
    rest_.remove_prefix(std::min(length + skipped, rest_.size()));
  }

  std::string_view rest_;
  std::string_view current_;
};

Result<std::vector<Qualifier>> parse_qualifiers(Tokens& tokens) {
  std::vector<Qualifier> qualifiers;
  if (!tokens.take_if("[")) return qualifiers;
  do {
    Qualifier qualifier;
    qualifier.name = tokens.take();
    qualifier.is_array = tokens.peek() == "{";
    if (tokens.take_if("{") || tokens.take_if("(")) {
      do {
        qualifier.values.emplace_back(tokens.take().substr(1));
      } while (tokens.take_if(","));
      TRY(tokens.expect(qualifier.is_array ? "}" : ")"));
    }
    qualifiers.push_back(std::move(qualifier));
  } while (tokens.take_if(","));
  TRY(tokens.expect("]"));
  return qualifiers;
}

/// `uint16 Name`, `uint16 Name[]` or `Class REF Name`.
Result<SchemaFeature> parse_feature(Tokens& tokens) {
  SchemaFeature feature;
  feature.qualifiers = TRY(parse_qualifiers(tokens));
  const std::string_view type = tokens.take();
  if (tokens.take_if("REF")) {
    feature.type = Type::kReference;
    feature.reference_class = type;
  } else if (const auto known = type_named(type)) {
    feature.type = *known;
  } else {
    return fail(ErrorKind::kInternal, fmt::format("schema: unknown type \"{}\"", type));
  }
  feature.name = tokens.take();
  if (tokens.take_if("[")) {
    feature.is_array = true;
    TRY(tokens.expect("]"));
  }
  return feature;
}

Result<SchemaMethod> parse_parameters(Tokens& tokens, std::string name) {
  SchemaMethod method{std::move(name), {}};
  if (tokens.take_if(")")) return method;
  do {
    method.parameters.push_back(TRY(parse_feature(tokens)));
  } while (tokens.take_if(","));
  TRY(tokens.expect(")"));
  return method;
}

Result<SchemaClass> parse_class(Tokens& tokens) {
  SchemaClass parsed;
  parsed.qualifiers = TRY(parse_qualifiers(tokens));
  TRY(tokens.expect("class"));
  parsed.name = tokens.take();
  if (tokens.take_if(":")) parsed.superclass = tokens.take();
  TRY(tokens.expect("{"));
  while (!tokens.take_if("}")) {
    SchemaFeature feature = TRY(parse_feature(tokens));
    if (tokens.take_if("(")) {
      parsed.methods.push_back(TRY(parse_parameters(tokens, feature.name)));
    } else {
      parsed.properties.push_back(std::move(feature));
    }
    TRY(tokens.expect(";"));
  }
  TRY(tokens.expect(";"));
  return parsed;
}

template <typename Part>
void put(std::vector<Part>& parts, const Part& part) {
  const auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& other) {
    return same_name(other.name, part.name);
  });
  if (same == parts.end()) {
    parts.push_back(part);
  } else {
    *same = part;
  }
}

}  // namespace

bool SchemaFeature::has(std::string_view qualifier) const {
  return std::any_of(qualifiers.begin(), qualifiers.end(),
                     [&](const Qualifier& entry) { return same_name(entry.name, qualifier); });
}

Result<Schema> Schema::parse(std::string_view mof) {
  Schema schema;
  Tokens tokens(mof);
  while (!tokens.peek().empty()) {
    SchemaClass parsed = TRY(parse_class(tokens));
    const auto known =
        std::find_if(schema.classes_.begin(), schema.classes_.end(),
                     [&](const SchemaClass& other) { return same_name(other.name, parsed.name); });
    if (known == schema.classes_.end()) {
      schema.classes_.push_back(std::move(parsed));
      continue;
    }
    for (const auto& property : parsed.properties) put(known->properties, property);
    for (const auto& method : parsed.methods) put(known->methods, method);
  }
  return schema;
}

const SchemaClass* Schema::find(std::string_view name) const {
  if (name.empty()) return nullptr;
  const auto found = std::find_if(classes_.begin(), classes_.end(), [&](const SchemaClass& entry) {
    return same_name(entry.name, name);
  });
  return found == classes_.end() ? nullptr : &*found;
}

std::vector<const SchemaClass*> Schema::lineage(const SchemaClass& of) const {
  std::vector<const SchemaClass*> line;
  for (const SchemaClass* step = &of; step != nullptr && line.size() <= classes_.size();
       step = find(step->superclass)) {
    line.insert(line.begin(), step);
  }
  return line;
}

bool Schema::derives(std::string_view name, std::string_view ancestor) const {
  if (find(ancestor) == nullptr) return false;
  std::size_t steps = 0;
  for (const SchemaClass* step = find(name); step != nullptr && steps <= classes_.size(); ++steps) {
    if (same_name(step->name, ancestor)) return true;
    step = find(step->superclass);
  }
  return false;
}

std::vector<SchemaFeature> Schema::properties_of(const SchemaClass& of) const {
  std::vector<SchemaFeature> properties;
  for (const SchemaClass* step : lineage(of)) {
    for (const auto& property : step->properties) put(properties, property);
  }
  return properties;
}

std::vector<SchemaMethod> Schema::methods_of(const SchemaClass& of) const {
  std::vector<SchemaMethod> methods;
  for (const SchemaClass* step : lineage(of)) {
    for (const auto& method : step->methods) put(methods, method);
  }
  return methods;
}

std::optional<SchemaMethod> Schema::find_method(std::string_view class_name,
                                                std::string_view method) const {
  const SchemaClass* of = find(class_name);
  if (of == nullptr) return std::nullopt;
  for (auto& candidate : methods_of(*of)) {
    if (same_name(candidate.name, method)) return std::move(candidate);
  }
  return std::nullopt;
}

std::vector<const SchemaClass*> Schema::below(std::string_view of, bool deep) const {
  std::vector<const SchemaClass*> names;
  for (const SchemaClass& entry : classes_) {
    const bool is_child = same_name(entry.superclass, of);
    const bool is_below = of.empty() || (derives(entry.name, of) && !same_name(entry.name, of));
    if (is_child || (deep && is_below)) names.push_back(&entry);
  }
  return names;
}

}  // namespace stasis::cimapi
