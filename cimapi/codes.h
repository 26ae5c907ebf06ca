#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "base/error.h"

namespace stasis::cimapi {

/// How a method ended, before it is said in the numbers of a family.
enum class Verdict : std::uint8_t {
  kCompleted,
  kStarted,
  kNotSupported,
  kFailed,
  kUnknown,
  kTimeout,
  kInvalidParameter,
  kInvalidState,
  kInvalidType,    ///< a value of an enumeration that names nothing, or nothing that is enabled
  kWrongDataType,  ///< a parameter that is not of its CIM type
  kAccessDenied,
  kBusy,
  kUnavailable,
  kOutOfMemory,
};

/// The two code families of Microsoft's pages; see docs/cim.md.
enum class Family : std::uint8_t {
  kV1,  ///< 0, 4096, 32768..32778
  kV2,  ///< 0..6, 4096
};

std::uint32_t code_of(Family family, Verdict verdict);
Verdict verdict_of(base::ErrorKind kind);

/// The kind that a code stands for: for clients that got no better reason. Success: none.
std::optional<base::ErrorKind> kind_of_code(std::uint32_t code);
/// What the code's family says of it: "invalid state (5)".
std::string text_of_code(std::uint32_t code);

/// Return values of CIM_ConcreteJob.RequestStateChange.
enum class StateChangeCode : std::uint32_t {
  kCompleted = 0,
  kNotSupported = 1,
  kInvalidParameter = 5,
  kStarted = 4096,
  kInvalidTransition = 4097,
  kTimeoutNotSupported = 4098,
  kBusy = 4099,
};

/// Why a method stopped.
struct Fault {
  Verdict verdict;
  base::Error error;
};

}  // namespace stasis::cimapi
