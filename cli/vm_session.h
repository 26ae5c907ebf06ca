#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "cimapi/client.h"
#include "cli/vm_process.h"
#include "snapshot/vm_control.h"
#include "snapshot/vm_directory.h"

namespace stasis::cli {

/// A connection to the process of a named machine.
class VmSession {
 public:
  /// To its process; nothing when it has none. kTimeout: its process does not answer.
  static base::Result<std::optional<VmSession>> find(const std::string& name);

  /// As above; a machine that is off gets a process first, which ends by itself when it is done.
  /// Call while this process has one thread.
  static base::Result<VmSession> open(const std::string& name);

  /// As `find`; a machine without a process gets one that does `task`, and nothing is returned once
  /// that is ready. Call while this process has one thread.
  static base::Result<std::optional<VmSession>> find_or_spawn(const std::string& name,
                                                              const VmTask& task);

  cimapi::Client& client() { return client_; }

  /// As it was when the session was opened.
  const snapshot::VmInfo& info() const { return info_; }

 private:
  VmSession(cimapi::Client client, snapshot::VmInfo info)
      : client_(std::move(client)), info_(std::move(info)) {}
  static base::Result<VmSession> connect(const snapshot::VmDirectory& directory);

  cimapi::Client client_;
  snapshot::VmInfo info_;
};

}  // namespace stasis::cli
