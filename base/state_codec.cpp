#include "base/state_codec.h"

#include <fmt/format.h>

#include <algorithm>

namespace stasis::base {
namespace detail {

Status number_out_of_range() {
  return fail(ErrorKind::kCorrupt, "is out of range");
}

Status wrong_length(std::size_t found, std::size_t wanted) {
  return fail(ErrorKind::kCorrupt, fmt::format("has {} items, not {}", found, wanted));
}

Status FieldReader::finish() const {
  if (!status_) return status_;
  for (const auto& name : TRY(in_.member_names())) {
    if (std::find(known_.begin(), known_.end(), name) == known_.end()) {
      return fail(ErrorKind::kCorrupt, fmt::format("field \"{}\" is unknown", name));
    }
  }
  return {};
}

std::vector<std::uint8_t> wrap_section(std::string_view name, std::uint32_t version,
                                       StateWriter fields) {
  StateWriter section;
  section.make_map();
  section.set_member("name", write_value(std::string(name)));
  section.set_member("version", write_value(version));
  section.set_member("fields", std::move(fields));
  return section.to_cbor();
}

Result<StateReader> unwrap_section(std::span<const std::uint8_t> cbor, std::string_view name,
                                   std::uint32_t version) {
  const auto section = TRY(StateReader::parse(cbor));
  const auto found_name = section.member("name");
  const auto found_version = section.member("version");
  auto fields = section.member("fields");
  if (!found_name || !found_version || !fields) {
    return fail(ErrorKind::kCorrupt, fmt::format("{}: no name, version or fields", name));
  }
  if (const auto text = TRY(found_name->as_text()); text != name) {
    return fail(ErrorKind::kCorrupt, fmt::format("section is \"{}\", not \"{}\"", text, name));
  }
  if (const auto number = TRY(found_version->as_unsigned()); number > version || number == 0) {
    return fail(ErrorKind::kUnsupported,
                fmt::format("{}: state version {} is newer than {} of this build; use the build "
                            "that saved it",
                            name, number, version));
  }
  return std::move(*fields);
}

}  // namespace detail
}  // namespace stasis::base
