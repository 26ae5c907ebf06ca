#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cimapi/value.h"

namespace stasis::cimapi {

/// Elements of DSP0201 as stock clients can read them: every element has an opening and a closing
/// tag, there are no comments, and NULL values are left out.
///
/// Text for element content and attributes. Characters that XML 1.0 cannot hold are left out.
std::string escaped(std::string_view text);

/// VALUE, VALUE.ARRAY or VALUE.REFERENCE; nothing for NULL.
std::string value_xml(const Value& value);
std::string property_xml(const Property& property);
/// PARAMVALUE with PARAMTYPE; nothing for NULL.
std::string parameter_xml(const Property& parameter);

std::string name_space_xml(std::string_view name_space);  ///< LOCALNAMESPACEPATH
std::string instance_name_xml(const ObjectPath& path);    ///< INSTANCENAME
std::string local_path_xml(const ObjectPath& path);       ///< LOCALINSTANCEPATH
std::string full_path_xml(const ObjectPath& path);        ///< INSTANCEPATH with this host's name

/// INSTANCE without path.
std::string instance_xml(const Instance& instance);

}  // namespace stasis::cimapi
