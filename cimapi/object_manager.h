#pragma once

#include <mutex>
#include <optional>
#include <string>

#include "cimapi/cim_error.h"
#include "cimapi/jobs.h"
#include "cimapi/message.h"
#include "cimapi/methods.h"
#include "cimapi/repository.h"
#include "cimapi/schema.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// Answers requests on one virtual machine: operations of DSP0200 on its namespaces and the methods
/// of its services. Schemas are read when they are first asked for.
/// Threads: any, all at once.
class ObjectManager {
 public:
  /// `vm` outlives this.
  explicit ObjectManager(snapshot::VmControl& vm) : vm_(vm), services_(vm, jobs_) {}
  ObjectManager(snapshot::VmControl& vm, JobTable::Clock clock)
      : vm_(vm), jobs_(std::move(clock)), services_(vm, jobs_) {}
  ObjectManager(const ObjectManager&) = delete;
  ObjectManager& operator=(const ObjectManager&) = delete;

  /// A request's answer, as XML, and the reason why a method's return value is no success.
  struct Reply {
    std::string body;
    std::optional<base::Error> reason{};
  };
  Reply answer(const Request& request);

  const JobTable& jobs() const { return jobs_; }
  Services& services() { return services_; }
  Repository repository(Space space);

 private:
  CimResult<Space> space_of(const Request& request) const;
  CimResult<Content> operate(const Request& request);
  CimResult<MethodAnswer> call(const Request& request);
  const Schema& schema(Space space);

  snapshot::VmControl& vm_;
  JobTable jobs_;
  Services services_;
  std::mutex mutex_;
  std::optional<Schema> schemas_[3];  // guarded by mutex_; never changed once there
};

}  // namespace stasis::cimapi
