#pragma once

#include <initializer_list>
#include <string>
#include <utility>

#include "cimapi/value.h"

namespace stasis::cimapi {

/// Writes an instance property by property. The keys of its path come first.
class InstanceBuilder {
 public:
  explicit InstanceBuilder(ObjectPath path) {
    instance_.properties = path.keys;
    instance_.path = std::move(path);
  }

  InstanceBuilder& set(const char* name, Value value) {
    instance_.properties.push_back({name, std::move(value)});
    return *this;
  }
  InstanceBuilder& text(const char* name, std::string value) {
    return set(name, Value::text(std::move(value)));
  }
  InstanceBuilder& flag(const char* name, bool value) { return set(name, Value::boolean(value)); }
  InstanceBuilder& u16(const char* name, std::uint64_t value) {
    return set(name, Value::number(Type::kUint16, value));
  }
  InstanceBuilder& u64(const char* name, std::uint64_t value) {
    return set(name, Value::number(Type::kUint64, value));
  }
  InstanceBuilder& u16s(const char* name, std::initializer_list<std::uint64_t> values) {
    return set(name, Value::numbers(Type::kUint16, values));
  }
  /// A time of 0 is "not yet": NULL.
  InstanceBuilder& time(const char* name, std::uint64_t unix_us) {
    return set(name, unix_us == 0 ? Value::null(Type::kDatetime)
                                  : Value::datetime(timestamp_text(unix_us)));
  }

  Instance take() { return std::move(instance_); }

 private:
  Instance instance_;
};

/// An association: both REFs are keys.
inline InstanceBuilder association(const char* class_name, const char* one, ObjectPath first,
                                   const char* other, ObjectPath second) {
  return InstanceBuilder(
      {{},
       class_name,
       {{one, Value::reference(std::move(first))}, {other, Value::reference(std::move(second))}}});
}

}  // namespace stasis::cimapi
