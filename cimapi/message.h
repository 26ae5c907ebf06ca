#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "base/result.h"
#include "cimapi/cim_error.h"
#include "cimapi/value.h"

namespace stasis::cimapi {

/// One CIM-XML request (DSP0201 SIMPLEREQ), not yet checked against the schema.
struct Request {
  std::string message_id;
  bool is_intrinsic = true;  ///< an operation of DSP0200 such as GetInstance; else a method
  std::string method;
  ObjectPath object;       ///< of an intrinsic one only the namespace; without keys: the class
  bool is_static = false;  ///< the object is a class
  std::vector<Property> parameters;
  std::optional<Instance> modified_instance;  ///< of ModifyInstance

  const Value* find(std::string_view name) const;
};

/// Why a body is no request; each has its HTTP status and CIMError header (DSP0200, "Errors").
enum class MessageFault {
  kNotWellFormed,
  kNotValid,
  kUnsupportedCimVersion,
  kUnsupportedDtdVersion,
  kUnsupportedProtocolVersion,
  kMultipleRequests,
};
struct MessageError {
  MessageFault fault;
  std::string text;
};

/// Decodes any bytes in bounded time and memory.
tl::expected<Request, MessageError> decode_request(std::string_view body);

/// What an intrinsic operation gave: the content of IRETURNVALUE; none: no such element.
using Content = std::optional<std::string>;

std::string intrinsic_response(const Request& request, const CimResult<Content>& result);
std::string method_response(const Request& request, const CimResult<struct MethodAnswer>& result);

/// What a method gave.
struct MethodAnswer {
  std::uint32_t return_value = 0;
  std::vector<Property> out;
  std::optional<base::Error> reason{};  ///< why `return_value` is no success
};

/// The client's side.
std::string encode_request(const Request& request);

/// What came back: either part, or an error of the server as an Error.
struct Reply {
  std::uint32_t return_value = 0;
  std::vector<Property> out;
  std::vector<Instance> instances;
};
base::Result<Reply> decode_response(std::string_view body);

}  // namespace stasis::cimapi
