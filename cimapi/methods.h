#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cimapi/cim_error.h"
#include "cimapi/collection_snapshot_service.h"
#include "cimapi/computer_system.h"
#include "cimapi/jobs.h"
#include "cimapi/management_service.h"
#include "cimapi/message.h"
#include "cimapi/schema.h"
#include "cimapi/snapshot_service.h"

namespace stasis::cimapi {

/// The services of one virtual machine.
class Services {
 public:
  /// Both outlive this.
  Services(snapshot::VmControl& vm, JobTable& job_table)
      : jobs(job_table),
        work(vm, job_table),
        snapshots(work),
        management(work),
        computer_system(vm, work, job_table) {}
  Services(const Services&) = delete;
  Services& operator=(const Services&) = delete;

  JobTable& jobs;
  SnapshotWork work;
  SnapshotService snapshots;
  ManagementService management;
  CollectionSnapshotService collections;
  ComputerSystem computer_system;
};

/// A call of a method, its parameters typed by the schema; what was absent is NULL.
struct MethodCall {
  ObjectPath object;
  std::vector<Property> in;

  Ref ref(std::string_view name) const;
  std::optional<std::string> text(std::string_view name) const;
  std::optional<std::uint16_t> number(std::string_view name) const;
  std::optional<bool> boolean(std::string_view name) const;

 private:
  const Value* find(std::string_view name) const;
};

/// Types the parameters of a request by the schema's declaration. kInvalidParameter: an unknown
/// one, or one twice; kTypeMismatch: a value that is not of its type. What is no in-parameter is
/// dropped.
CimResult<MethodCall> type_parameters(const SchemaMethod& method, const Request& request);

/// Calls `method` of the object, an instance of `class_name` (or, by the request, one of its
/// superclasses). kMethodNotAvailable: declared, but nothing is behind it.
CimResult<MethodAnswer> call_method(Services& services, Space space, std::string_view class_name,
                                    std::string_view method, const MethodCall& call);

}  // namespace stasis::cimapi
