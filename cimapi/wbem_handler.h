#pragma once

#include "cimapi/http_message.h"
#include "cimapi/object_manager.h"

namespace stasis::cimapi {

/// Who sent a request.
enum class Caller { kTrusted, kStranger };

/// CIM operations over HTTP (DSP0200, "Encapsulation of CIM operations"): checks the headers,
/// decodes the body, asks the object manager. Strangers get CIM_ERR_ACCESS_DENIED.
/// A method's reason goes into the header `Stasis-Reason: kind text`, percent-encoded.
/// Threads: any, all at once.
HttpResponse handle_wbem(ObjectManager& manager, const HttpRequest& request, Caller caller);

/// An answer without CIM content, as for what is wrong at the level of HTTP. `cim_error` is the
/// value of the header CIMError; empty: none.
HttpResponse http_fault(unsigned status, std::string_view cim_error, std::string_view text);

inline constexpr const char* kWbemTarget = "/cimom";
inline constexpr const char* kReasonHeader = "Stasis-Reason";

}  // namespace stasis::cimapi
