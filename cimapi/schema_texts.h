#pragma once

#include <string_view>

namespace stasis::cimapi {

/// MOF of the classes we serve, cut down to the members that are filled in or called. What DMTF's
/// schema (2.49) and Microsoft's pages declare has their names, types and orders; Stasis_ is ours.
extern const std::string_view kCoreMof;     ///< roots of all, in every namespace
extern const std::string_view kV1Mof;       ///< root/virtualization
extern const std::string_view kV2Mof;       ///< root/virtualization/v2, root/HyperVCluster/v2
extern const std::string_view kInteropMof;  ///< interop, root/interop

}  // namespace stasis::cimapi
