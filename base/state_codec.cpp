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

FieldReader::FieldReader(const StateReader& in) {
  auto members = in.as_map();
  if (members) {
    members_ = std::move(*members);
    known_.reserve(members_.all().size());
  } else {
    status_ = fail(members.error());
  }
}

Status FieldReader::finish() const {
  if (!status_) return status_;
  for (const auto& member : members_.all()) {
    if (std::find(known_.begin(), known_.end(), member.name) == known_.end()) {
      return fail(ErrorKind::kCorrupt, fmt::format("field \"{}\" is unknown", member.name));
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
  const auto section = TRY(TRY(StateReader::parse(cbor)).as_map());
  const StateReader* const found_name = section.find("name");
  const StateReader* const found_version = section.find("version");
  const StateReader* const fields = section.find("fields");
  if (found_name == nullptr || found_version == nullptr || fields == nullptr) {
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
  return *fields;
}

}  // namespace detail
}  // namespace stasis::base
