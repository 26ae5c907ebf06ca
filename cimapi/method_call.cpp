// Parameters of methods, from the wire's to the schema's types.
#include <fmt/format.h>

#include <algorithm>

#include "cimapi/methods.h"

namespace stasis::cimapi {
namespace {

CimResult<Value> typed(const Value& value, const SchemaFeature& parameter) {
  const auto mismatch = [&] {
    return cim_fail(CimStatus::kTypeMismatch,
                    fmt::format("{}: \"{}\" is no {}", parameter.name, value.as_text(),
                                type_name(parameter.type)));
  };
  if (value.is_null) return Value::null(parameter.type);
  if (parameter.type == Type::kReference) {
    if (value.type == Type::kReference) return value;
    ObjectPath path = path_from_text(value.as_text());
    // a word alone names a class at most: no object
    return Value::reference(path.keys.empty() ? ObjectPath{} : std::move(path));
  }
  if (value.type == Type::kReference || value.is_array != parameter.is_array) return mismatch();
  for (const std::string& text : value.texts) {
    if (!is_valid_text(parameter.type, text)) return mismatch();
  }
  Value copy = value;
  copy.type = parameter.type;
  return copy;
}

}  // namespace

const Value* MethodCall::find(std::string_view name) const {
  const auto found = std::find_if(in.begin(), in.end(), [&](const Property& parameter) {
    return same_name(parameter.name, name);
  });
  return found == in.end() || found->value.is_null ? nullptr : &found->value;
}

Ref MethodCall::ref(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  return *value->as_reference();
}

std::optional<std::string> MethodCall::text(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  return value->as_text();
}

std::optional<std::uint16_t> MethodCall::number(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  return static_cast<std::uint16_t>(value->as_number());
}

std::optional<bool> MethodCall::boolean(std::string_view name) const {
  const Value* value = find(name);
  if (value == nullptr) return std::nullopt;
  return value->as_boolean();
}

CimResult<MethodCall> type_parameters(const SchemaMethod& method, const Request& request) {
  MethodCall call{request.object, {}};
  std::vector<std::string> seen;
  for (const Property& sent : request.parameters) {
    const auto declared =
        std::find_if(method.parameters.begin(), method.parameters.end(),
                     [&](const SchemaFeature& entry) { return same_name(entry.name, sent.name); });
    if (declared == method.parameters.end()) {
      return cim_fail(CimStatus::kInvalidParameter,
                      fmt::format("{}: no parameter \"{}\"", method.name, sent.name));
    }
    if (std::find(seen.begin(), seen.end(), declared->name) != seen.end()) {
      return cim_fail(CimStatus::kInvalidParameter,
                      fmt::format("{}: parameter \"{}\" twice", method.name, sent.name));
    }
    seen.push_back(declared->name);
    if (declared->has("Out")) continue;  // old schemas have them as in-parameters, too
    auto value = typed(sent.value, *declared);
    if (!value) return tl::unexpected<CimError>(value.error());
    call.in.push_back({declared->name, std::move(*value)});
  }
  return call;
}

}  // namespace stasis::cimapi
