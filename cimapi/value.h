#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stasis::cimapi {

/// Types of properties, parameters and keys that our schema uses (DSP0004, "Data types").
enum class Type : std::uint8_t {
  kBoolean,
  kUint8,
  kUint16,
  kUint32,
  kUint64,
  kString,
  kDatetime,
  kReference,
};

std::string_view type_name(Type type);  ///< as in CIM-XML: "uint16"; "reference" for a REF
std::optional<Type> type_named(std::string_view name);

/// Whether `text` is a value of `type` in range (DSP0201: decimal integers, true/false in any case,
/// 25-character datetimes). References are no text.
bool is_valid_text(Type type, std::string_view text);

/// Names of namespaces, classes, properties and methods compare without regard to case.
bool same_name(std::string_view left, std::string_view right);

struct ObjectPath;

/// One CIM value: a scalar or an array, or NULL. All but references are kept in their wire form.
struct Value {
  Type type = Type::kString;
  bool is_array = false;
  bool is_null = true;
  bool is_embedded = false;            ///< a string that holds an instance as XML
  std::vector<std::string> texts;      ///< one for a scalar
  std::vector<ObjectPath> references;  ///< in place of texts for kReference

  static Value null(Type type, bool is_array = false);
  static Value boolean(bool value);
  static Value number(Type type, std::uint64_t value);
  static Value text(std::string value);
  static Value datetime(std::string value);
  static Value reference(ObjectPath path);
  static Value embedded(std::string instance_xml);
  static Value numbers(Type type, std::initializer_list<std::uint64_t> values);
  static Value strings(std::vector<std::string> values);

  /// The scalar as a number or truth value; 0, false or "" for NULL.
  std::uint64_t as_number() const;
  bool as_boolean() const;
  std::string as_text() const;
  const ObjectPath* as_reference() const;  ///< null when there is none
};

struct Property {
  std::string name;
  Value value;
};

/// Where an object is: `root/virtualization/v2:Msvm_ConcreteJob.InstanceID="..."`.
/// An empty class name is the mark of a text that was no path.
struct ObjectPath {
  std::string name_space;
  std::string class_name;
  std::vector<Property> keys;

  const Value* key(std::string_view name) const;
  std::string key_text(std::string_view name) const;  ///< empty: no such key
};

/// The path in the text form of DSP0207 without host; and back. Clients of the WMI kind write a
/// host or backslashes in front, which are taken, too. Not a path: an empty class name.
std::string to_text(const ObjectPath& path);
ObjectPath path_from_text(std::string_view text);

/// An object: `path.class_name` is its class.
struct Instance {
  ObjectPath path;
  std::vector<Property> properties;

  const Value* find(std::string_view name) const;
  /// Scalars of a property; 0, false or "" when it is absent or NULL.
  std::uint64_t number(std::string_view name) const;
  bool boolean(std::string_view name) const;
  std::string text(std::string_view name) const;
};

/// 25-character timestamp in UTC (DSP0004, "Datetime type") of microseconds since 1970, and back
/// (nothing for an interval or a malformed text).
std::string timestamp_text(std::uint64_t unix_us);
std::optional<std::uint64_t> timestamp_us(std::string_view text);

/// 25-character interval, and back (nothing for a timestamp or a malformed text).
std::string interval_text(std::uint64_t microseconds);
std::optional<std::uint64_t> interval_us(std::string_view text);

}  // namespace stasis::cimapi
