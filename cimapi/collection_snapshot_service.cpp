#include "cimapi/collection_snapshot_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "cimapi/snapshot_settings.h"

namespace stasis::cimapi {
namespace {

constexpr std::array<std::string_view, 5> kCollectionClasses = {
    "CIM_CollectionOfMSEs", "CIM_Collection", "Msvm_VirtualSystemCollection",
    "Msvm_ManagementCollection", "Msvm_SnapshotCollection"};

Checked<void> check_collection(const Ref& ref, const char* parameter) {
  const auto wrong = [&](const char* why) {
    return refuse(Verdict::kInvalidParameter, fmt::format("{}: {}", parameter, why));
  };
  if (!ref) return wrong("is missing");
  if (ref->class_name.empty()) return wrong("is no object path");
  if (std::none_of(kCollectionClasses.begin(), kCollectionClasses.end(),
                   [&](std::string_view known) { return same_name(known, ref->class_name); })) {
    return wrong("names no collection");
  }
  if (!ref->name_space.empty() && space_named(ref->name_space) != Space::kV2) {
    return wrong("names another namespace");
  }
  if (ref->key_text("CollectionID").empty()) return wrong("has no CollectionID");
  return {};
}

Checked<void> check_type(std::uint16_t type) {
  constexpr std::uint16_t kStandard = 1;
  constexpr std::uint16_t kRecovery = 2;
  constexpr std::uint16_t kFirstVendorType = 32'768;
  if (type == kStandard) return {};
  const Verdict verdict = type == kRecovery || type >= kFirstVendorType ? Verdict::kNotSupported
                                                                        : Verdict::kInvalidType;
  return refuse(verdict, fmt::format("SnapshotType {}: use 1 (standard)", type));
}

tl::unexpected<Fault> no_collections() {
  return refuse(Verdict::kNotSupported, "there are no collections of machines yet");
}

Checked<Outcome> create(const CreateCollectionSnapshotIn& in) {
  if (!in.snapshot_type) {
    return refuse(Verdict::kInvalidParameter, "SnapshotType: is missing; use 1 (standard)");
  }
  if (auto fine = check_collection(in.collection, "Collection"); !fine) {
    return tl::unexpected<Fault>(fine.error());
  }
  if (auto fine = check_type(*in.snapshot_type); !fine) return tl::unexpected<Fault>(fine.error());
  const auto settings = decode_snapshot_settings(in.snapshot_settings.value_or(""));
  if (!settings) return tl::unexpected<Fault>(settings.error());
  return no_collections();
}

}  // namespace

JobAnswer CollectionSnapshotService::create_snapshot(const CreateCollectionSnapshotIn& in) const {
  return job_answer_of(Family::kV2, create(in));
}

JobAnswer CollectionSnapshotService::use_snapshot(const Ref& snapshot_collection,
                                                  const char* parameter) const {
  if (auto fine = check_collection(snapshot_collection, parameter); !fine) {
    return job_answer_of(Family::kV2, tl::unexpected<Fault>(fine.error()));
  }
  return job_answer_of(Family::kV2, no_collections());
}

}  // namespace stasis::cimapi
