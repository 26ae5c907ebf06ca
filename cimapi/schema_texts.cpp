#include "cimapi/schema_texts.h"

namespace stasis::cimapi {

const std::string_view kCoreMof = R"(
[Abstract] class CIM_ManagedElement {
  string InstanceID; string Caption; string Description; string ElementName;
};
[Abstract] class CIM_ManagedSystemElement : CIM_ManagedElement {
  string Name; uint16 OperationalStatus[]; string StatusDescriptions[]; string Status;
  uint16 HealthState;
};
[Abstract] class CIM_LogicalElement : CIM_ManagedSystemElement { };
[Abstract] class CIM_EnabledLogicalElement : CIM_LogicalElement {
  [ValueMap{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "32768..65535"},
   Values{"Unknown", "Other", "Enabled", "Disabled", "Shutting Down", "Not Applicable",
          "Enabled but Offline", "In Test", "Deferred", "Quiesce", "Starting", "Vendor Reserved"}]
  uint16 EnabledState;
  uint16 RequestedState; uint16 EnabledDefault; datetime TimeOfLastStateChange;
  uint32 RequestStateChange([In] uint16 RequestedState, [Out] CIM_ConcreteJob REF Job,
                            [In] datetime TimeoutPeriod);
};
[Abstract] class CIM_System : CIM_EnabledLogicalElement {
  [Key] string CreationClassName; [Key] string Name;
};
class CIM_ComputerSystem : CIM_System { };
[Abstract] class CIM_Service : CIM_EnabledLogicalElement {
  [Key] string SystemCreationClassName; [Key] string SystemName;
  [Key] string CreationClassName; [Key] string Name; boolean Started;
  uint32 StartService(); uint32 StopService();
};
[Abstract] class CIM_Job : CIM_LogicalElement {
  string JobStatus; datetime TimeSubmitted; datetime StartTime; datetime ElapsedTime;
  uint16 PercentComplete; boolean DeleteOnCompletion; uint16 ErrorCode; string ErrorDescription;
  uint32 KillJob([In] boolean DeleteOnKill);
};
class CIM_ConcreteJob : CIM_Job {
  [Key] string InstanceID; string Name;
  [ValueMap{"2", "3", "4", "5", "6", "7", "8", "9", "10"},
   Values{"New", "Starting", "Running", "Suspended", "Shutting Down", "Completed", "Terminated",
          "Killed", "Exception"}]
  uint16 JobState;
  datetime TimeOfLastStateChange; datetime TimeBeforeRemoval;
  uint32 RequestStateChange([In] uint16 RequestedState, [In] datetime TimeoutPeriod);
  uint32 GetError([Out, EmbeddedInstance("CIM_Error")] string Error);
  uint32 GetErrors([Out] string Errors[]);
};
class Msvm_ConcreteJob : CIM_ConcreteJob {
  boolean Cancellable; uint16 JobType; string ErrorSummaryDescription;
  uint32 GetErrorEx([Out] string Errors[]);
};
class Stasis_ConcreteJob : Msvm_ConcreteJob {
  uint64 BytesDone; uint64 BytesTotal; string ErrorKind; string SnapshotID;
};
class CIM_Error {
  uint16 ErrorType; string OwningEntity; string MessageID; string Message;
  uint16 PerceivedSeverity; uint16 ProbableCause; uint32 CIMStatusCode;
};
class Msvm_Error : CIM_Error { };
[Abstract] class CIM_SettingData : CIM_ManagedElement { [Key] string InstanceID; };
class CIM_VirtualSystemSettingData : CIM_SettingData {
  string VirtualSystemIdentifier; datetime CreationTime;
};
[Abstract] class CIM_Capabilities : CIM_ManagedElement { [Key] string InstanceID; };
[Abstract] class CIM_Collection : CIM_ManagedElement { };
[Abstract] class CIM_CollectionOfMSEs : CIM_Collection { string CollectionID; };
[Association, Abstract] class CIM_Dependency {
  [Key] CIM_ManagedElement REF Antecedent; [Key] CIM_ManagedElement REF Dependent;
};
[Association] class CIM_HostedService : CIM_Dependency {
  [Key] CIM_System REF Antecedent; [Key] CIM_Service REF Dependent;
};
[Association] class CIM_AffectedJobElement {
  [Key] CIM_ManagedElement REF AffectedElement; [Key] CIM_ConcreteJob REF AffectingElement;
  uint16 ElementEffects[]; string OtherElementEffectsDescriptions[];
};
[Association] class CIM_OwningJobElement {
  [Key] CIM_ManagedElement REF OwningElement; [Key] CIM_ConcreteJob REF OwnedElement;
};
[Association] class CIM_ElementSettingData {
  [Key] CIM_ManagedElement REF ManagedElement; [Key] CIM_SettingData REF SettingData;
};
[Association] class CIM_SettingsDefineState {
  [Key] CIM_ManagedElement REF ManagedElement; [Key] CIM_SettingData REF SettingData;
};
[Association] class CIM_ElementCapabilities {
  [Key] CIM_ManagedElement REF ManagedElement; [Key] CIM_Capabilities REF Capabilities;
  uint16 Characteristics[];
};
[Association] class CIM_ServiceAffectsElement {
  [Key] CIM_ManagedElement REF AffectedElement; [Key] CIM_Service REF AffectingElement;
  uint16 ElementEffects[];
};
[Association] class Msvm_AffectedJobElement : CIM_AffectedJobElement { };
[Association] class Msvm_OwningJobElement : CIM_OwningJobElement { };
[Association] class Msvm_HostedService : CIM_HostedService { };
[Association] class Msvm_SettingsDefineState : CIM_SettingsDefineState { };
[Association] class Msvm_ElementCapabilities : CIM_ElementCapabilities { };
[Association] class Msvm_ServiceAffectsElement : CIM_ServiceAffectsElement { };
)";

const std::string_view kV1Mof = R"(
class Msvm_ComputerSystem : CIM_ComputerSystem {
  uint64 OnTimeInMilliseconds;
};
class Msvm_VirtualSystemSettingData : CIM_VirtualSystemSettingData {
  string SystemName; uint16 VirtualSystemType;
  [ValueMap{"1", "2", "3", "4", "5"},
   Values{"Input", "Recorded", "Current", "Capability", "Snapshot"}] uint16 SettingType;
  string Parent; string Notes;
};
class Stasis_VirtualSystemSettingData : Msvm_VirtualSystemSettingData {
  boolean IsSaved;
};
class CIM_VirtualSystemManagementService : CIM_Service {
  uint32 CreateVirtualSystemSnapshot([In] CIM_ComputerSystem REF SourceSystem,
    [Out] CIM_VirtualSystemSettingData REF SnapshotSettingData, [Out] CIM_ConcreteJob REF Job);
  uint32 ApplyVirtualSystemSnapshot([In] CIM_ComputerSystem REF ComputerSystem,
    [In] CIM_VirtualSystemSettingData REF SnapshotSettingData);
  uint32 RemoveVirtualSystemSnapshot(
    [In] CIM_VirtualSystemSettingData REF SnapshotSettingData, [Out] CIM_ConcreteJob REF Job);
};
class Msvm_VirtualSystemManagementService : CIM_VirtualSystemManagementService {
  uint32 ApplyVirtualSystemSnapshotEx([In] CIM_ComputerSystem REF ComputerSystem,
    [In] CIM_VirtualSystemSettingData REF SnapshotSettingData, [Out] CIM_ConcreteJob REF Job);
  uint32 RemoveVirtualSystemSnapshotTree(
    [In] CIM_VirtualSystemSettingData REF SnapshotSettingData, [Out] CIM_ConcreteJob REF Job);
  uint32 CloneVirtualSystem(); uint32 InstantiateVirtualSystem(); uint32 PlanVirtualSystem();
};
[Association] class Msvm_PreviousSettingData {
  [Key] CIM_ManagedElement REF ManagedElement; [Key] CIM_SettingData REF SettingData;
};
[Association] class Msvm_LastAppliedSettingData {
  [Key] CIM_ManagedElement REF ManagedElement; [Key] CIM_SettingData REF SettingData;
};
)";

const std::string_view kV2Mof = R"(
class Msvm_ComputerSystem : CIM_ComputerSystem {
  uint64 OnTimeInMilliseconds;
};
class Msvm_VirtualSystemSettingData : CIM_VirtualSystemSettingData {
  string VirtualSystemType; string Parent; string Notes[]; string ConfigurationID;
  boolean IsSaved; string VirtualSystemSubType;
  [ValueMap{"2", "3", "4", "5"}, Values{"Disable", "Production, fall back to Test",
   "Production without fallback", "Test"}] uint16 UserSnapshotType;
  boolean AutomaticSnapshotsEnabled; boolean IsAutomaticSnapshot; boolean IncrementalBackupEnabled;
};
class Stasis_VirtualSystemSettingData : Msvm_VirtualSystemSettingData {
  [ValueMap{"2", "3"}, Values{"Full Snapshot", "Disk Snapshot"}] uint16 SnapshotType;
  string Engine; uint64 PauseMicroseconds; uint64 TotalMicroseconds; uint64 CapturedBytes;
  uint64 StoredBytes;
  uint32 ProcessorCount; uint64 MemoryBytes; string Kernel; string InitialRamdisk;
  string CommandLine; string ProcessorModel; string DiskPaths[]; string DiskIDs[];
  string DiskFormats[]; string DiskBacking[]; boolean DiskReadOnly[]; boolean HasUserNetwork; string PortForwards[];
  [ValueMap{"none", "stdio", "file"}] string Console; string ConsoleFile;
  [ValueMap{"serial", "virtio"}] string ConsolePort;
  boolean HasRandomDevice; datetime StartTime; string LastEnding;
};
class Msvm_VirtualSystemSnapshotSettingData : CIM_SettingData {
  [ValueMap{"0", "1", "2"}, Values{"Unknown", "Application Consistent", "Crash Consistent"}]
  uint8 ConsistencyLevel;
  boolean IgnoreNonSnapshottableDisks;
  [ValueMap{"0", "1", "2"}, Values{"Undefined", "Full", "Copy"}] uint8 GuestBackupType;
};
class Stasis_VirtualSystemSnapshotSettingData : Msvm_VirtualSystemSnapshotSettingData {
  string Notes[];
  [ValueMap{"0", "1", "2"}, Values{"Auto", "Stop and copy", "Fork"}] uint16 Engine;
  uint16 CompressionLevel;
};
class CIM_VirtualSystemSnapshotService : CIM_Service {
  uint32 CreateSnapshot([In] CIM_ComputerSystem REF AffectedSystem,
    [In, EmbeddedInstance("CIM_SettingData")] string SnapshotSettings,
    [In, ValueMap{"2", "3", "..", "32768..65535"},
     Values{"Full Snapshot", "Disk Snapshot", "DMTF Reserved", "Vendor Specific"}]
    uint16 SnapshotType,
    [In, Out] CIM_VirtualSystemSettingData REF ResultingSnapshot,
    [In, Out] CIM_ConcreteJob REF Job);
  uint32 ApplySnapshot([In] CIM_VirtualSystemSettingData REF Snapshot,
    [In, Out] CIM_ConcreteJob REF Job);
  uint32 DestroySnapshot([In] CIM_VirtualSystemSettingData REF AffectedSnapshot,
    [In, Out] CIM_ConcreteJob REF Job);
};
class Msvm_VirtualSystemReferencePoint : CIM_SettingData { };
class Msvm_VirtualSystemSnapshotService : CIM_VirtualSystemSnapshotService {
  uint32 DestroySnapshotTree([In] CIM_VirtualSystemSettingData REF SnapshotSettingData,
    [Out] CIM_ConcreteJob REF Job);
  uint32 ClearSnapshotState([In] CIM_VirtualSystemSettingData REF SnapshotSettingData,
    [Out] CIM_ConcreteJob REF Job);
  uint32 ConvertToReferencePoint([In] CIM_VirtualSystemSettingData REF AffectedSnapshot,
    [In] string ReferencePointSettings,
    [In, Out] Msvm_VirtualSystemReferencePoint REF ResultingReferencePoint,
    [Out] CIM_ConcreteJob REF Job);
};
class Stasis_VirtualSystemSnapshotService : Msvm_VirtualSystemSnapshotService {
  uint32 ApplySnapshotInPlace([In] CIM_VirtualSystemSettingData REF Snapshot,
    [In, ValueMap{"0", "1"}, Values{"Catch Up", "Freeze"}] uint16 ClockPolicy,
    [In] boolean NewGeneration, [Out] CIM_ConcreteJob REF Job);
  uint32 VerifySnapshot([In] CIM_VirtualSystemSettingData REF Snapshot,
    [Out] CIM_ConcreteJob REF Job);
  uint32 RenameSnapshot([In] CIM_VirtualSystemSettingData REF Snapshot,
    [In] string NewName, [In] string Notes);
  uint32 SelfTest([In] CIM_ComputerSystem REF AffectedSystem, [Out] string Report);
};
class Msvm_CollectionSnapshotService : CIM_Service {
  uint32 CreateSnapshot([In] CIM_CollectionOfMSEs REF Collection, [In] string SnapshotSettings,
    [In, ValueMap{"0", "1", "2", "3..32767", "32768..65535"},
     Values{"Unknown", "Standard Snapshot", "Recovery Snapshot", "DMTF Reserved",
            "Vendor Specific"}] uint16 SnapshotType,
    [In, Out] CIM_Collection REF ResultingSnapshotCollection, [Out] CIM_ConcreteJob REF Job);
  uint32 ApplySnapshot([In] CIM_Collection REF SnapshotCollection, [Out] CIM_ConcreteJob REF Job);
  uint32 DestroySnapshot([In] CIM_Collection REF AffectedSnapshotCollection,
    [Out] CIM_ConcreteJob REF Job);
};
class Msvm_VirtualSystemCollection : CIM_CollectionOfMSEs { [Key] string CollectionID; };
class Msvm_ManagementCollection : CIM_CollectionOfMSEs { [Key] string CollectionID; };
class Msvm_SnapshotCollection : CIM_Collection { [Key] string CollectionID; };
class CIM_VirtualSystemSnapshotServiceCapabilities : CIM_Capabilities {
  [ValueMap{"2", "3", "4"}, Values{"CreateSnapshot", "DestroySnapshot", "ApplySnapshot"}]
  uint16 SynchronousMethodsSupported[];
  [ValueMap{"2", "3", "4"}, Values{"CreateSnapshot", "DestroySnapshot", "ApplySnapshot"}]
  uint16 AynchronousMethodsSupported[];
  [ValueMap{"2", "3", "32768..65535"},
   Values{"Full Snapshot", "Disk Snapshot", "Vendor Specific"}] uint16 SnapshotTypesSupported[];
};
class CIM_VirtualSystemSnapshotCapabilities : CIM_Capabilities {
  [ValueMap{"2", "3", "32768..65535"},
   Values{"Full Snapshot", "Disk Snapshot", "Vendor Specific"}] uint16 SnapshotTypesEnabled[];
  boolean GuestOSNotificationEnabled;
};
[Association] class CIM_SnapshotOfVirtualSystem : CIM_Dependency {
  [Key] CIM_ComputerSystem REF Antecedent; [Key] CIM_VirtualSystemSettingData REF Dependent;
};
[Association] class CIM_MostCurrentSnapshotInBranch : CIM_Dependency {
  [Key] CIM_ComputerSystem REF Antecedent; [Key] CIM_VirtualSystemSettingData REF Dependent;
};
[Association] class CIM_LastAppliedSnapshot : CIM_Dependency {
  [Key] CIM_VirtualSystemSettingData REF Antecedent; [Key] CIM_ComputerSystem REF Dependent;
};
[Association] class Msvm_SnapshotOfVirtualSystem : CIM_SnapshotOfVirtualSystem { };
[Association] class Msvm_MostCurrentSnapshotInBranch : CIM_MostCurrentSnapshotInBranch { };
[Association] class Msvm_LastAppliedSnapshot : CIM_LastAppliedSnapshot { };
[Association] class Msvm_ParentChildSettingData {
  [Key] CIM_VirtualSystemSettingData REF Parent; [Key] CIM_VirtualSystemSettingData REF Child;
};
)";

const std::string_view kInteropMof = R"(
class CIM_Namespace : CIM_ManagedElement {
  [Key] string SystemCreationClassName; [Key] string SystemName;
  [Key] string ObjectManagerCreationClassName; [Key] string ObjectManagerName;
  [Key] string CreationClassName; [Key] string Name; uint16 ClassInfo;
};
class CIM_ObjectManager : CIM_Service { };
[Abstract] class CIM_RegisteredProfile : CIM_ManagedElement {
  [Key] string InstanceID;
  [ValueMap{"1", "2"}, Values{"Other", "DMTF"}] uint16 RegisteredOrganization;
  string RegisteredName; string RegisteredVersion;
};
[Association] class CIM_ElementConformsToProfile {
  [Key] CIM_RegisteredProfile REF ConformantStandard; [Key] CIM_ManagedElement REF ManagedElement;
};
[Association] class CIM_ReferencedProfile : CIM_Dependency {
  [Key] CIM_RegisteredProfile REF Antecedent; [Key] CIM_RegisteredProfile REF Dependent;
};
)";

}  // namespace stasis::cimapi
