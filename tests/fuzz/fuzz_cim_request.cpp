#include "tests/fuzz/fuzz_cim_request.h"

#include <string_view>

#include "base/check.h"
#include "cimapi/message.h"
#include "cimapi/object_manager.h"
#include "cimapi/snapshot_settings.h"
#include "cimapi/xml_reader.h"
#include "tests/unit/cimapi/fake_vm.h"

namespace stasis::fuzz {
namespace {

void answer(const cimapi::Request& request) {
  cimapi::testing::FakeVm vm(snapshot::PowerState::kOff);
  cimapi::ObjectManager manager(vm);
  const auto reply = manager.answer(request);
  // what a client of ours cannot read, others cannot either
  STASIS_CHECK(
      cimapi::parse_xml(reply.body, cimapi::XmlLimits{std::size_t{64} << 20, 4'000'000, 64}));
}

}  // namespace

void fuzz_cim_request(std::span<const std::uint8_t> input) {
  const std::string_view text(reinterpret_cast<const char*>(input.data()), input.size());
  if (const auto request = cimapi::decode_request(text)) answer(*request);
  if (const auto settings = cimapi::decode_snapshot_settings(text)) {
    STASIS_CHECK(cimapi::decode_snapshot_settings(cimapi::encode_snapshot_settings(*settings)));
  }
  static_cast<void>(cimapi::decode_response(text));
  const cimapi::ObjectPath path = cimapi::path_from_text(text);
  if (!path.class_name.empty()) {
    STASIS_CHECK(cimapi::path_from_text(cimapi::to_text(path)).keys.size() == path.keys.size());
  }
}

}  // namespace stasis::fuzz
