#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "cimapi/checked.h"
#include "cimapi/value.h"

namespace stasis::cimapi {

/// What is served where.
enum class Space : std::uint8_t {
  kV1,       ///< root/virtualization
  kV2,       ///< root/virtualization/v2 and root/HyperVCluster/v2
  kInterop,  ///< interop and root/interop
};

inline constexpr const char* kV1Name = "root/virtualization";
inline constexpr const char* kV2Name = "root/virtualization/v2";
inline constexpr const char* kClusterName = "root/HyperVCluster/v2";
inline constexpr const char* kInteropName = "interop";
inline constexpr const char* kRootInteropName = "root/interop";

/// What the InstanceID of each setting data begins with.
inline constexpr std::string_view kInstanceIdPrefix = "Microsoft:";

std::optional<Space> space_named(std::string_view name_space);

/// Paths of our objects, without namespace.
ObjectPath computer_system_path(const std::string& vm_id);
ObjectPath host_path();
ObjectPath setting_data_path(const std::string& id);  ///< of a snapshot, or of the VM itself
ObjectPath job_path(const std::string& id);
ObjectPath service_path(const char* class_name, const char* name);

inline constexpr const char* kComputerSystem = "Msvm_ComputerSystem";
inline constexpr const char* kSettingData = "Stasis_VirtualSystemSettingData";
inline constexpr const char* kJobClass = "Stasis_ConcreteJob";
inline constexpr const char* kSnapshotService = "Stasis_VirtualSystemSnapshotService";
inline constexpr const char* kSnapshotServiceName = "vssnapsvc";
inline constexpr const char* kManagementService = "Msvm_VirtualSystemManagementService";
inline constexpr const char* kManagementServiceName = "vmms";
inline constexpr const char* kCollectionService = "Msvm_CollectionSnapshotService";
inline constexpr const char* kCollectionServiceName = "csnapsvc";

/// A REF parameter: absent, a path, or a text that was no path (its class name is empty).
using Ref = std::optional<ObjectPath>;

/// The id of the virtual machine or snapshot that a REF names. Only the form is checked: class,
/// keys and namespace. A lone `Name` or `InstanceID` is enough; ids come in any case.
/// `parameter` is the name of the parameter, for messages. kInvalidParameter, kWrongDataType.
Checked<std::string> computer_system_of(const Ref& ref, std::string_view parameter, Space space);
Checked<std::string> setting_data_of(const Ref& ref, std::string_view parameter, Space space);

}  // namespace stasis::cimapi
