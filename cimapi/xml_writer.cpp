#include "cimapi/xml_writer.h"

#include <fmt/format.h>

#include "cimapi/host_name.h"

namespace stasis::cimapi {
namespace {

std::string key_xml(const Property& key) {
  const Value& value = key.value;
  std::string inner;
  if (value.type == Type::kReference) {
    inner = value_xml(value);
  } else {
    const char* kind = value.type == Type::kBoolean                                   ? "boolean"
                       : value.type == Type::kString || value.type == Type::kDatetime ? "string"
                                                                                      : "numeric";
    inner = fmt::format("<KEYVALUE VALUETYPE=\"{}\">{}</KEYVALUE>", kind, escaped(value.as_text()));
  }
  return fmt::format("<KEYBINDING NAME=\"{}\">{}</KEYBINDING>", escaped(key.name), inner);
}

/// A mark on a value that is absent breaks readers.
const char* embedded_mark(const Value& value) {
  return value.is_embedded && !value.is_null && !value.is_array ? " EmbeddedObject=\"instance\""
                                                                : "";
}

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char letter : text) {
    switch (letter) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\r':
        out += "&#13;";
        break;
      default:
        if (static_cast<unsigned char>(letter) >= 0x20 || letter == '\t' || letter == '\n') {
          out += letter;
        }
    }
  }
  return out;
}

std::string value_xml(const Value& value) {
  if (value.is_null) return {};
  if (const ObjectPath* path = value.as_reference()) {
    return fmt::format("<VALUE.REFERENCE>{}</VALUE.REFERENCE>",
                       path->name_space.empty() ? instance_name_xml(*path) : full_path_xml(*path));
  }
  std::string items;
  for (const std::string& text : value.texts) {
    items += fmt::format("<VALUE>{}</VALUE>", escaped(text));
  }
  return value.is_array ? fmt::format("<VALUE.ARRAY>{}</VALUE.ARRAY>", items) : items;
}

std::string property_xml(const Property& property) {
  const Value& value = property.value;
  if (value.type == Type::kReference) {
    return fmt::format("<PROPERTY.REFERENCE NAME=\"{}\">{}</PROPERTY.REFERENCE>",
                       escaped(property.name), value_xml(value));
  }
  const char* element = value.is_array ? "PROPERTY.ARRAY" : "PROPERTY";
  return fmt::format("<{0} NAME=\"{1}\" TYPE=\"{2}\"{3}>{4}</{0}>", element, escaped(property.name),
                     type_name(value.type), embedded_mark(value), value_xml(value));
}

std::string parameter_xml(const Property& parameter) {
  const Value& value = parameter.value;
  if (value.is_null) return {};
  return fmt::format("<PARAMVALUE NAME=\"{}\" PARAMTYPE=\"{}\"{}>{}</PARAMVALUE>",
                     escaped(parameter.name), type_name(value.type), embedded_mark(value),
                     value_xml(value));
}

std::string name_space_xml(std::string_view name_space) {
  std::string out = "<LOCALNAMESPACEPATH>";
  while (!name_space.empty()) {
    const std::size_t end = std::min(name_space.find('/'), name_space.size());
    out += fmt::format("<NAMESPACE NAME=\"{}\"></NAMESPACE>", escaped(name_space.substr(0, end)));
    name_space.remove_prefix(std::min(end + 1, name_space.size()));
  }
  return out + "</LOCALNAMESPACEPATH>";
}

std::string instance_name_xml(const ObjectPath& path) {
  std::string out = fmt::format("<INSTANCENAME CLASSNAME=\"{}\">", escaped(path.class_name));
  for (const Property& key : path.keys) out += key_xml(key);
  return out + "</INSTANCENAME>";
}

std::string local_path_xml(const ObjectPath& path) {
  return fmt::format("<LOCALINSTANCEPATH>{}{}</LOCALINSTANCEPATH>", name_space_xml(path.name_space),
                     instance_name_xml(path));
}

std::string full_path_xml(const ObjectPath& path) {
  return fmt::format(
      "<INSTANCEPATH><NAMESPACEPATH><HOST>{}</HOST>{}</NAMESPACEPATH>{}</INSTANCEPATH>",
      escaped(host_name()), name_space_xml(path.name_space), instance_name_xml(path));
}

std::string instance_xml(const Instance& instance) {
  std::string out = fmt::format("<INSTANCE CLASSNAME=\"{}\">", escaped(instance.path.class_name));
  for (const Property& property : instance.properties) out += property_xml(property);
  return out + "</INSTANCE>";
}

}  // namespace stasis::cimapi
