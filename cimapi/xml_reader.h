#pragma once

#include <memory>
#include <pugixml.hpp>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cimapi/value.h"

namespace stasis::cimapi {

/// What a sender may make us keep in memory.
struct XmlLimits {
  std::size_t max_bytes = std::size_t{4} << 20;
  std::size_t max_nodes = 100'000;
  int max_depth = 64;
};

/// Parses one XML document. Refused, in time proportional to its length: text that is not UTF-8,
/// not well formed, has a document type (the home of entity bombs) or exceeds a limit.
/// Errors: kCorrupt for what is not well formed, kInvalidArgument for the others.
base::Result<std::unique_ptr<pugi::xml_document>> parse_xml(std::string_view text,
                                                            const XmlLimits& limits);

/// Elements of DSP0201. What is not as it says there is kInvalidArgument.
///
/// PROPERTY, PROPERTY.ARRAY, PROPERTY.REFERENCE with name and value.
base::Result<Property> read_property(pugi::xml_node node);
/// PARAMVALUE or IPARAMVALUE. Its type is what the sender says; a string when nothing is said. An
/// instance that stands in VALUE as elements is taken as its text.
base::Result<Property> read_parameter(pugi::xml_node node);
/// INSTANCENAME, INSTANCEPATH, LOCALINSTANCEPATH, CLASSNAME, CLASSPATH, LOCALCLASSPATH, or what
/// is inside VALUE.REFERENCE and OBJECTPATH. The host is dropped.
base::Result<ObjectPath> read_path(pugi::xml_node node);
/// INSTANCE; its path has the class only.
base::Result<Instance> read_instance(pugi::xml_node node);
/// VALUE.NAMEDINSTANCE, VALUE.OBJECTWITHPATH, VALUE.INSTANCEWITHPATH: with path.
base::Result<Instance> read_named_instance(pugi::xml_node node);

/// LOCALNAMESPACEPATH as "root/virtualization/v2".
std::string read_name_space(pugi::xml_node node);

}  // namespace stasis::cimapi
