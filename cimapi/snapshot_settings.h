#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cimapi/checked.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// What the embedded settings instance of CreateSnapshot asks for.
struct SnapshotSettings {
  std::string name;  ///< ElementName; empty: none
  std::string notes;
  snapshot::Engine engine = snapshot::Engine::kAuto;
  std::optional<int> compression_level;
};

/// Decodes SnapshotSettings: the text of an INSTANCE of Msvm_VirtualSystemSnapshotSettingData, of
/// our subclass Stasis_VirtualSystemSnapshotSettingData or of their superclasses; as a document or
/// inside the envelopes of the CIM and WMI DTDs. Blank text: no settings.
///
/// kInvalidParameter: no such instance, unknown class or property, a value out of range.
/// kNotSupported: an application-consistent snapshot, which needs an agent in the guest.
/// Time and memory are bounded: at most 64 KiB of text, 16 levels and 1000 elements; no DOCTYPE.
Checked<SnapshotSettings> decode_snapshot_settings(std::string_view text);

/// The text that `decode_snapshot_settings` reads.
std::string encode_snapshot_settings(const SnapshotSettings& settings);

}  // namespace stasis::cimapi
