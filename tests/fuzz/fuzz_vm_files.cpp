#include "tests/fuzz/fuzz_vm_files.h"

#include <string>
#include <string_view>

#include "base/check.h"
#include "snapshot/vm_config.h"
#include "snapshot/vm_present.h"
#include "snapshot/vm_run_record.h"

namespace stasis::fuzz {
namespace {

void read_config(std::string_view text) {
  const auto config = snapshot::decode_config(text);
  if (!config) return;
  const auto once = snapshot::encode_config(*config);
  STASIS_CHECK(once);
  const auto again = snapshot::decode_config(*once);
  STASIS_CHECK(again);
  STASIS_CHECK(snapshot::encode_config(*again) == *once);
}

void read_present(std::string_view text) {
  const auto present = snapshot::decode_present(text);
  if (!present) return;
  const auto again = snapshot::decode_present(*snapshot::encode_present(*present));
  STASIS_CHECK(again && *again == *present);
}

void read_run_record(std::string_view text) {
  const auto record = snapshot::decode_run_record(text);
  if (!record) return;
  const auto again = snapshot::decode_run_record(snapshot::encode_run_record(*record));
  STASIS_CHECK(again && *again == *record);
}

}  // namespace

void fuzz_vm_files(std::span<const std::uint8_t> input) {
  if (input.empty()) return;
  const std::string_view text(reinterpret_cast<const char*>(input.data()) + 1, input.size() - 1);
  switch (input[0] % 4) {
    case 0:
      return read_config(text);
    case 1:
      return read_present(text);
    case 2:
      return read_run_record(text);
    default:
      // a line for a terminal, whatever is in the file
      for (const char letter : snapshot::crash_sentence(text)) {
        STASIS_CHECK(letter >= ' ' && letter <= '~');
      }
  }
}

}  // namespace stasis::fuzz
