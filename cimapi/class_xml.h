#pragma once

#include <string>

#include "cimapi/schema.h"

namespace stasis::cimapi {

/// What a client wants to see of a class.
struct ClassView {
  bool local_only = true;  ///< only what the class declares itself
  bool with_qualifiers = true;
};

/// CLASS of DSP0201.
std::string class_xml(const Schema& schema, const SchemaClass& of, const ClassView& view);

}  // namespace stasis::cimapi
