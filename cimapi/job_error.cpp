#include "cimapi/job_error.h"

#include "cimapi/cim_error.h"
#include "cimapi/setting_data.h"
#include "cimapi/xml_writer.h"

namespace stasis::cimapi {
namespace {

using base::ErrorKind;

CimStatus status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kPermissionDenied:
      return CimStatus::kAccessDenied;
    case ErrorKind::kInvalidArgument:
      return CimStatus::kInvalidParameter;
    case ErrorKind::kNotFound:
      return CimStatus::kNotFound;
    case ErrorKind::kUnsupported:
      return CimStatus::kNotSupported;
    default:
      return CimStatus::kFailed;
  }
}

Instance error_instance(const base::Error& error) {
  constexpr std::uint64_t kSoftwareError = 4;
  constexpr std::uint64_t kMajor = 5;
  Instance instance;
  instance.path.class_name = "Msvm_Error";
  instance.properties = {
      {"MessageID", Value::text("stasis-" + kind_name(error.kind()))},
      {"Message", Value::text(error.message())},
      {"OwningEntity", Value::text("Stasis")},
      {"ErrorType", Value::number(Type::kUint16, kSoftwareError)},
      {"PerceivedSeverity", Value::number(Type::kUint16, kMajor)},
      {"CIMStatusCode",
       Value::number(Type::kUint32, static_cast<std::uint64_t>(status_of(error.kind())))}};
  return instance;
}

}  // namespace

std::optional<std::string> error_of_job(const JobTable& jobs, const ObjectPath& job) {
  const auto info = jobs.find(job.key_text(job.key("InstanceID") != nullptr ? "InstanceID" : ""));
  if (!info || !info->error) return std::nullopt;
  return instance_xml(error_instance(*info->error));
}

std::optional<base::Error> reason_of(StateChangeCode code) {
  switch (code) {
    case StateChangeCode::kCompleted:
    case StateChangeCode::kStarted:
      return std::nullopt;
    case StateChangeCode::kNotSupported:
      return base::Error(ErrorKind::kUnsupported, "jobs only terminate (4) or are killed (5)");
    case StateChangeCode::kInvalidParameter:
      return base::Error(ErrorKind::kInvalidArgument,
                         "RequestedState or TimeoutPeriod: no such value; use 4 or 5, no timeout");
    case StateChangeCode::kInvalidTransition:
      return base::Error(ErrorKind::kInvalidState,
                         "the job is finished, or about to commit its work");
    case StateChangeCode::kTimeoutNotSupported:
      return base::Error(ErrorKind::kUnsupported, "TimeoutPeriod: is not supported; leave it out");
    case StateChangeCode::kBusy:
      return base::Error(ErrorKind::kBusy, "the job is already ending");
  }
  return std::nullopt;
}

}  // namespace stasis::cimapi
