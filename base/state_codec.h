#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "base/state_item.h"
#include "base/state_reader.h"

/// How device and vCPU state becomes bytes and back.
///
/// A state is a plain struct that lists its fields once:
///
///     struct TimerState {
///       static constexpr std::string_view kName = "timer";
///       static constexpr std::uint32_t kVersion = 1;
///       std::uint32_t count = 0;
///       bool running = false;
///       bool operator==(const TimerState&) const = default;
///
///       template <typename Self, typename Fields>
///       static void describe(Self& self, Fields& fields) {
///         auto& [c, r] = self;  // names every member: a forgotten field does not compile
///         fields("count", c)("running", r);
///       }
///     };
///
/// The bytes are CBOR (RFC 8949): a map of name, version and a map of fields. A field that is
/// absent takes its reset value; unknown fields, newer versions and values out of range are refused
/// by name. A state may have `Status validate() const` for what ranges cannot say.
namespace stasis::base {

template <typename T>
concept DescribedState = requires {
  { T::kName } -> std::convertible_to<std::string_view>;
  { T::kVersion } -> std::convertible_to<std::uint32_t>;
}
&&std::equality_comparable<T>;

namespace detail {

template <typename T>
struct IsArray : std::false_type {};
template <typename T, std::size_t n>
struct IsArray<std::array<T, n>> : std::true_type {};
template <typename T>
struct IsVector : std::false_type {};
template <typename T>
struct IsVector<std::vector<T>> : std::true_type {};
template <typename T>
struct IsOptional : std::false_type {};
template <typename T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <typename T>
StateWriter write_value(const T& value);

class FieldWriter {
 public:
  explicit FieldWriter(StateWriter& out) : out_(out) { out_.make_map(); }
  template <typename T>
  FieldWriter& operator()(std::string_view name, const T& value) {
    if constexpr (IsOptional<T>::value) {
      if (value) out_.set_member(name, write_value(*value));
    } else {
      out_.set_member(name, write_value(value));
    }
    return *this;
  }

 private:
  StateWriter& out_;
};

template <typename T>
void write_items(StateWriter& out, const T& items) {
  if constexpr (std::is_same_v<typename T::value_type, std::uint8_t>) {
    out.set_bytes(items);
  } else {
    out.make_array();
    for (const auto& item : items) out.append(write_value(item));
  }
}

template <typename T>
StateWriter write_value(const T& value) {
  StateWriter out;
  if constexpr (std::is_same_v<T, bool>) {
    out.set_bool(value);
  } else if constexpr (std::is_enum_v<T>) {
    out.set_unsigned(static_cast<std::uint64_t>(value));
  } else if constexpr (std::is_signed_v<T>) {
    out.set_signed(value);
  } else if constexpr (std::is_unsigned_v<T>) {
    out.set_unsigned(value);
  } else if constexpr (std::is_same_v<T, std::string>) {
    out.set_text(value);
  } else if constexpr (IsArray<T>::value || IsVector<T>::value) {
    write_items(out, value);
  } else {
    FieldWriter fields(out);
    T::describe(value, fields);
  }
  return out;
}

template <typename T>
Status read_value(const StateReader& in, T& value);

class FieldReader {
 public:
  explicit FieldReader(const StateReader& in);
  template <typename T>
  FieldReader& operator()(std::string_view name, T& value) {
    known_.push_back(name);
    if (!status_) return *this;
    const StateReader* const found = members_.find(name);
    if (found == nullptr) return *this;  // absent: the reset value stays
    if constexpr (IsOptional<T>::value) {
      status_ = read_value(*found, value.emplace());
    } else {
      status_ = read_value(*found, value);
    }
    if (!status_) status_ = fail(status_.error().with_context(name));
    return *this;
  }
  /// What went wrong, a field that nobody asked for included.
  Status finish() const;

 private:
  StateMembers members_;
  std::vector<std::string_view> known_;
  Status status_;
};

Status number_out_of_range();
Status wrong_length(std::size_t found, std::size_t wanted);

template <typename T>
Status read_items(const StateReader& in, std::vector<T>& items) {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    const auto bytes = TRY(in.as_bytes());
    items.assign(bytes.begin(), bytes.end());
  } else {
    const auto elements = TRY(in.as_array());
    items.clear();
    items.reserve(elements.size());
    for (const auto& element : elements) TRY(read_value(element, items.emplace_back()));
  }
  return {};
}

template <typename T, std::size_t n>
Status read_items(const StateReader& in, std::array<T, n>& items) {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    const auto bytes = TRY(in.as_bytes());
    if (bytes.size() != n) return wrong_length(bytes.size(), n);
    std::copy(bytes.begin(), bytes.end(), items.begin());
  } else {
    std::vector<T> read;
    TRY(read_items(in, read));
    if (read.size() != n) return wrong_length(read.size(), n);
    for (std::size_t i = 0; i < n; ++i) items[i] = std::move(read[i]);
  }
  return {};
}

template <typename T>
Status read_unsigned(const StateReader& in, T& value) {
  const std::uint64_t number = TRY(in.as_unsigned());
  if (number > std::numeric_limits<T>::max()) return number_out_of_range();
  value = static_cast<T>(number);
  return {};
}

template <typename T>
Status read_signed(const StateReader& in, T& value) {
  const std::int64_t number = TRY(in.as_signed());
  if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
    return number_out_of_range();
  }
  value = static_cast<T>(number);
  return {};
}

template <typename T>
Status read_value(const StateReader& in, T& value) {
  if constexpr (std::is_same_v<T, bool>) {
    value = TRY(in.as_bool());
  } else if constexpr (std::is_enum_v<T>) {
    std::underlying_type_t<T> number{};
    TRY(read_value(in, number));
    value = static_cast<T>(number);  // validate() of the state checks the enumerators
  } else if constexpr (std::is_signed_v<T>) {
    TRY(read_signed(in, value));
  } else if constexpr (std::is_unsigned_v<T>) {
    TRY(read_unsigned(in, value));
  } else if constexpr (std::is_same_v<T, std::string>) {
    value = TRY(in.as_text());
  } else if constexpr (IsArray<T>::value || IsVector<T>::value) {
    TRY(read_items(in, value));
  } else {
    FieldReader fields(in);
    T::describe(value, fields);
    TRY(fields.finish());
  }
  return {};
}

std::vector<std::uint8_t> wrap_section(std::string_view name, std::uint32_t version,
                                       StateWriter fields);
Result<StateReader> unwrap_section(std::span<const std::uint8_t> cbor, std::string_view name,
                                   std::uint32_t version);

}  // namespace detail

/// The state as one named, versioned CBOR item. Equal states give equal bytes.
template <DescribedState State>
std::vector<std::uint8_t> encode_state(const State& state) {
  return detail::wrap_section(State::kName, State::kVersion, detail::write_value(state));
}

/// The state back from its bytes, checked. Errors (kCorrupt, or kUnsupported for a newer version)
/// name the section and the field.
template <DescribedState State>
Result<State> decode_state(std::span<const std::uint8_t> cbor) {
  const auto fields = TRY(detail::unwrap_section(cbor, State::kName, State::kVersion));
  State state;
  Status read = detail::read_value(fields, state);
  if constexpr (requires { state.validate(); }) {
    if (read) read = state.validate();
  }
  if (!read) return fail(read.error().with_context(State::kName));
  return state;
}

}  // namespace stasis::base
