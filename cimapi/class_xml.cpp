#include "cimapi/class_xml.h"

#include <fmt/format.h>

#include "cimapi/xml_writer.h"

namespace stasis::cimapi {
namespace {

std::string qualifier_xml(const Qualifier& qualifier) {
  std::string values;
  for (const std::string& value : qualifier.values) {
    values += fmt::format("<VALUE>{}</VALUE>", escaped(value));
  }
  const char* type = qualifier.values.empty() ? "boolean" : "string";
  if (qualifier.values.empty()) values = "<VALUE>TRUE</VALUE>";
  if (qualifier.is_array) values = fmt::format("<VALUE.ARRAY>{}</VALUE.ARRAY>", values);
  return fmt::format("<QUALIFIER NAME=\"{}\" TYPE=\"{}\">{}</QUALIFIER>", escaped(qualifier.name),
                     type, values);
}

std::string qualifiers_xml(const std::vector<Qualifier>& qualifiers, const ClassView& view) {
  std::string out;
  if (!view.with_qualifiers) return out;
  for (const Qualifier& qualifier : qualifiers) out += qualifier_xml(qualifier);
  return out;
}

/// PROPERTY or PARAMETER with the endings that DSP0201 has for arrays and references.
std::string feature_xml(const SchemaFeature& feature, const std::string& element,
                        const ClassView& view) {
  const std::string qualifiers = qualifiers_xml(feature.qualifiers, view);
  if (feature.type == Type::kReference) {
    return fmt::format("<{0}.REFERENCE NAME=\"{1}\" REFERENCECLASS=\"{2}\">{3}</{0}.REFERENCE>",
                       element, feature.name, feature.reference_class, qualifiers);
  }
  const std::string tag = feature.is_array ? element + ".ARRAY" : element;
  return fmt::format("<{0} NAME=\"{1}\" TYPE=\"{2}\">{3}</{0}>", tag, feature.name,
                     type_name(feature.type), qualifiers);
}

std::string method_xml(const SchemaMethod& method, const ClassView& view) {
  std::string parameters;
  for (const SchemaFeature& parameter : method.parameters) {
    parameters += feature_xml(parameter, "PARAMETER", view);
  }
  return fmt::format("<METHOD NAME=\"{}\" TYPE=\"uint32\">{}</METHOD>", method.name, parameters);
}

}  // namespace

std::string class_xml(const Schema& schema, const SchemaClass& of, const ClassView& view) {
  std::string out = fmt::format("<CLASS NAME=\"{}\"", of.name);
  if (!of.superclass.empty()) out += fmt::format(" SUPERCLASS=\"{}\"", of.superclass);
  out += '>' + qualifiers_xml(of.qualifiers, view);
  const auto properties = view.local_only ? of.properties : schema.properties_of(of);
  for (const SchemaFeature& property : properties) out += feature_xml(property, "PROPERTY", view);
  const auto methods = view.local_only ? of.methods : schema.methods_of(of);
  for (const SchemaMethod& method : methods) out += method_xml(method, view);
  return out + "</CLASS>";
}

}  // namespace stasis::cimapi
