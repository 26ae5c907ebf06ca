#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cimapi/value.h"

namespace stasis::cimapi {

/// `[ValueMap{"2", "3"}]` and the like.
struct Qualifier {
  std::string name;
  std::vector<std::string> values;  ///< none: a flag that is set
  bool is_array = false;
};

/// A property or a parameter.
struct SchemaFeature {
  std::string name;
  Type type = Type::kString;
  bool is_array = false;
  std::string reference_class;  ///< of a REF
  std::vector<Qualifier> qualifiers;

  bool has(std::string_view qualifier) const;
};

struct SchemaMethod {
  std::string name;
  std::vector<SchemaFeature> parameters;  ///< qualifiers In, Out
};

struct SchemaClass {
  std::string name;
  std::string superclass;  ///< empty: none
  std::vector<Qualifier> qualifiers;
  std::vector<SchemaFeature> properties;  ///< declared here; inherited ones: Schema::properties_of
  std::vector<SchemaMethod> methods;
};

/// The classes of one namespace.
class Schema {
 public:
  /// From MOF text (DSP0221): classes with qualifiers, properties, REFs and methods; no aliases,
  /// pragmas, defaults or instances. A class may be declared again to add to it.
  static base::Result<Schema> parse(std::string_view mof);

  const SchemaClass* find(std::string_view name) const;
  const std::vector<SchemaClass>& classes() const { return classes_; }

  /// Whether `name` is `ancestor` or derives from it. False when either is unknown.
  bool derives(std::string_view name, std::string_view ancestor) const;

  /// Own and inherited ones, the root's first; what a subclass declares again stands in its place.
  std::vector<SchemaFeature> properties_of(const SchemaClass& of) const;
  std::vector<SchemaMethod> methods_of(const SchemaClass& of) const;
  std::optional<SchemaMethod> find_method(std::string_view class_name,
                                          std::string_view method) const;

  /// The names of the classes one level below `of`, or of all below; "" stands above all.
  std::vector<const SchemaClass*> below(std::string_view of, bool deep) const;

 private:
  std::vector<const SchemaClass*> lineage(const SchemaClass& of) const;  // root first

  std::vector<SchemaClass> classes_;
};

}  // namespace stasis::cimapi
