#include "cimapi/xml_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "snapshot/names.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;
using base::fail;
using base::Result;

constexpr int kMaxReferenceDepth = 4;

Result<ObjectPath> read_path_at(pugi::xml_node node, int depth);

bool is_named(pugi::xml_node node, std::string_view name) {
  return node.name() == name;
}

/// The text of an element; elements inside are taken as their own text.
std::string text_of(pugi::xml_node node) {
  std::string text;
  for (const pugi::xml_node child : node.children()) {
    if (child.type() == pugi::node_pcdata || child.type() == pugi::node_cdata) {
      text += child.value();
    } else if (child.type() == pugi::node_element) {
      std::ostringstream out;
      child.print(out, "", pugi::format_raw);
      text += out.str();
    }
  }
  return text;
}

Type type_or_string(pugi::xml_node node, const char* attribute) {
  return type_named(node.attribute(attribute).value()).value_or(Type::kString);
}

bool is_embedded_object(pugi::xml_node node) {
  return node.attribute("EmbeddedObject") || node.attribute("EMBEDDEDOBJECT");
}

bool holds_elements(pugi::xml_node value) {
  return value.find_child([](pugi::xml_node child) { return child.type() == pugi::node_element; });
}

Result<void> check_text(const Value& value, std::string_view name) {
  for (const std::string& text : value.texts) {
    if (!is_valid_text(value.type, text)) {
      return fail(ErrorKind::kInvalidArgument,
                  fmt::format("{}: \"{}\" is no {}", name, text, type_name(value.type)));
    }
  }
  return {};
}

/// What stands in a property or parameter: VALUE, VALUE.ARRAY, VALUE.REFERENCE or nothing (NULL).
Result<Value> read_value(pugi::xml_node owner, Type type) {
  Value value = Value::null(type, is_named(owner, "PROPERTY.ARRAY"));
  value.is_embedded = is_embedded_object(owner);
  if (const pugi::xml_node single = owner.child("VALUE")) {
    value.is_null = false;
    value.is_embedded = value.is_embedded || holds_elements(single);
    value.texts.push_back(text_of(single));
  } else if (const pugi::xml_node array = owner.child("VALUE.ARRAY")) {
    value.is_null = false;
    value.is_array = true;
    for (const pugi::xml_node item : array.children("VALUE")) value.texts.push_back(text_of(item));
  } else if (const pugi::xml_node reference = owner.child("VALUE.REFERENCE")) {
    return Value::reference(TRY(read_path(reference)));
  }
  TRY(check_text(value, owner.attribute("NAME").value()));
  return value;
}

Result<Value> read_key_value(pugi::xml_node binding, int depth) {
  if (const pugi::xml_node reference = binding.child("VALUE.REFERENCE")) {
    return Value::reference(TRY(read_path_at(reference, depth + 1)));
  }
  const pugi::xml_node key = binding.child("KEYVALUE");
  if (!key) return fail(ErrorKind::kInvalidArgument, "key without a value");
  Value value = Value::text(text_of(key));
  const std::string_view kind = key.attribute("VALUETYPE").value();
  if (same_name(kind, "boolean")) value.type = Type::kBoolean;
  if (same_name(kind, "numeric")) value.type = Type::kUint64;
  TRY(check_text(value, binding.attribute("NAME").value()));
  return value;
}

Result<ObjectPath> read_instance_name(pugi::xml_node node, int depth) {
  ObjectPath path;
  path.class_name = node.attribute("CLASSNAME").value();
  if (path.class_name.empty()) {
    return fail(ErrorKind::kInvalidArgument, "INSTANCENAME without CLASSNAME");
  }
  for (const pugi::xml_node binding : node.children("KEYBINDING")) {
    auto value = TRY(read_key_value(binding, depth));
    path.keys.push_back({binding.attribute("NAME").value(), std::move(value)});
  }
  if (path.keys.empty() && (node.child("KEYVALUE") || node.child("VALUE.REFERENCE"))) {
    Value value = TRY(read_key_value(node, depth));
    path.keys.push_back({"", std::move(value)});  // the class has one key only
  }
  return path;
}

pugi::xml_node first_element(pugi::xml_node node) {
  return node.find_child([](pugi::xml_node child) { return child.type() == pugi::node_element; });
}

pugi::xml_node name_space_in(pugi::xml_node path) {
  const pugi::xml_node full = path.child("NAMESPACEPATH");
  return (full ? full : path).child("LOCALNAMESPACEPATH");
}

Result<ObjectPath> read_path_at(pugi::xml_node node, int depth) {
  if (depth > kMaxReferenceDepth) {
    return fail(ErrorKind::kInvalidArgument, "references nested too deep");
  }
  if (is_named(node, "VALUE.REFERENCE") || is_named(node, "OBJECTPATH")) {
    return read_path_at(first_element(node), depth + 1);
  }
  if (is_named(node, "INSTANCENAME")) return read_instance_name(node, depth);
  if (is_named(node, "CLASSNAME") && node.attribute("NAME")) {
    return ObjectPath{{}, node.attribute("NAME").value(), {}};
  }
  const pugi::xml_node instance = node.child("INSTANCENAME");
  const pugi::xml_node inner = instance ? instance : node.child("CLASSNAME");
  if (!inner) {
    return fail(ErrorKind::kInvalidArgument, fmt::format("\"{}\" is no object path", node.name()));
  }
  ObjectPath path = TRY(read_path_at(inner, depth + 1));
  path.name_space = read_name_space(name_space_in(node));
  return path;
}

/// Counts what a document holds; stops at a limit.
class Inspector final : public pugi::xml_tree_walker {
 public:
  explicit Inspector(const XmlLimits& limits) : limits_(limits) {}

  bool for_each(pugi::xml_node& node) override {
    const auto attributes = node.attributes();
    count_ += 1 + static_cast<std::size_t>(std::distance(attributes.begin(), attributes.end()));
    if (node.type() == pugi::node_doctype) return refuse("document types are not accepted");
    if (depth() >= limits_.max_depth) return refuse("nested too deep");
    if (count_ > limits_.max_nodes) return refuse("too many elements");
    return true;
  }
  const std::string& problem() const { return problem_; }

 private:
  bool refuse(const char* why) {
    problem_ = why;
    return false;
  }

  const XmlLimits& limits_;
  std::size_t count_ = 0;
  std::string problem_;
};

}  // namespace

Result<std::unique_ptr<pugi::xml_document>> parse_xml(std::string_view text,
                                                      const XmlLimits& limits) {
  if (text.size() > limits.max_bytes) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("XML of {} bytes; at most {}", text.size(), limits.max_bytes));
  }
  if (text.find('\0') != std::string_view::npos) {
    return fail(ErrorKind::kCorrupt, "XML: not well formed: a NUL byte");
  }
  if (!snapshot::count_characters(text)) {
    return fail(ErrorKind::kInvalidArgument, "XML: not valid UTF-8");
  }
  auto document = std::make_unique<pugi::xml_document>();
  constexpr unsigned kOptions = pugi::parse_cdata | pugi::parse_escapes | pugi::parse_eol |
                                pugi::parse_doctype | pugi::parse_ws_pcdata_single;
  const auto parsed =
      document->load_buffer(text.data(), text.size(), kOptions, pugi::encoding_utf8);
  if (!parsed) {
    return fail(ErrorKind::kCorrupt, fmt::format("XML: not well formed at byte {}: {}",
                                                 parsed.offset, parsed.description()));
  }
  Inspector inspector(limits);
  document->traverse(inspector);
  if (!inspector.problem().empty()) {
    return fail(ErrorKind::kInvalidArgument, "XML: " + inspector.problem());
  }
  return document;
}

Result<Property> read_property(pugi::xml_node node) {
  const std::string name = node.attribute("NAME").value();
  if (name.empty()) return fail(ErrorKind::kInvalidArgument, "property without a name");
  const Type type =
      is_named(node, "PROPERTY.REFERENCE") ? Type::kReference : type_or_string(node, "TYPE");
  Value value = TRY(read_value(node, type));  // apart: an early return inside braces would leak
  return Property{name, std::move(value)};
}

Result<Property> read_parameter(pugi::xml_node node) {
  const std::string name = node.attribute("NAME").value();
  if (name.empty()) return fail(ErrorKind::kInvalidArgument, "parameter without a name");
  const pugi::xml_node inner = first_element(node);
  if (is_named(inner, "INSTANCENAME") || is_named(inner, "CLASSNAME") ||
      is_named(inner, "INSTANCEPATH") || is_named(inner, "LOCALINSTANCEPATH")) {
    Value value = Value::reference(TRY(read_path(inner)));
    return Property{name, std::move(value)};
  }
  // The schema decides what the text has to be: a sender's own idea of the type is no reason to
  // refuse it here.
  Value value = TRY(read_value(node, Type::kString));
  return Property{name, std::move(value)};
}

Result<ObjectPath> read_path(pugi::xml_node node) {
  return read_path_at(node, 0);
}

Result<Instance> read_instance(pugi::xml_node node) {
  Instance instance;
  instance.path.class_name = node.attribute("CLASSNAME").value();
  if (!is_named(node, "INSTANCE") || instance.path.class_name.empty()) {
    return fail(ErrorKind::kInvalidArgument,
                fmt::format("\"{}\" is no instance: write <INSTANCE CLASSNAME=...>", node.name()));
  }
  for (const pugi::xml_node child : node.children()) {
    if (is_named(child, "QUALIFIER")) continue;
    if (!std::string_view(child.name()).starts_with("PROPERTY")) {
      return fail(ErrorKind::kInvalidArgument,
                  fmt::format("\"{}\" does not belong into an instance", child.name()));
    }
    instance.properties.push_back(TRY(read_property(child)));
  }
  return instance;
}

Result<Instance> read_named_instance(pugi::xml_node node) {
  Instance instance = TRY(read_instance(node.child("INSTANCE")));
  const pugi::xml_node full = node.child("INSTANCEPATH");
  const pugi::xml_node local = node.child("LOCALINSTANCEPATH");
  const pugi::xml_node path = full ? full : local ? local : node.child("INSTANCENAME");
  instance.path = TRY(read_path(path));
  return instance;
}

std::string read_name_space(pugi::xml_node node) {
  std::string out;
  for (const pugi::xml_node part : node.children("NAMESPACE")) {
    if (!out.empty()) out += '/';
    out += part.attribute("NAME").value();
  }
  return out;
}

}  // namespace stasis::cimapi
