#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

#include "base/result.h"
#include "snapshot/vm_control.h"

namespace stasis::cimapi {

/// The CIM object manager of one virtual machine: serves its services and instances as CIM-XML
/// (DSP0200, DSP0201) over HTTP on a UNIX socket. Made at little cost: one socket and one thread;
/// the schema, further threads and the rest come with the first request.
///
/// Only processes of the same user or of root are served (SO_PEERCRED); others get
/// CIM_ERR_ACCESS_DENIED.
/// Threads: requests and jobs run on threads of the server's own, several at once.
class Server {
 public:
  struct Options {
    std::size_t max_body_bytes = std::size_t{4} << 20;  ///< longer: HTTP 413
    std::chrono::milliseconds request_timeout{10'000};  ///< first byte of a request .. its last
    std::chrono::milliseconds idle_timeout{300'000};    ///< of a connection between requests
    unsigned max_connections = 2'000;                   ///< beyond: closed at once
  };

  /// Makes the socket (mode 0600) in place of one that a dead process left. Its folder should have
  /// mode 0700. `vm` outlives the server.
  static base::Result<std::unique_ptr<Server>> open(const std::string& socket_path,
                                                    snapshot::VmControl& vm,
                                                    const Options& options);
  static base::Result<std::unique_ptr<Server>> open(const std::string& socket_path,
                                                    snapshot::VmControl& vm);

  /// Stops listening and removes the socket, cancels running jobs and waits for them.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// How long nobody has asked for anything: zero while a request or a job is under way. An open
  /// connection without a request is idle. Any thread.
  std::chrono::milliseconds idle_time() const;

 private:
  class Impl;
  explicit Server(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace stasis::cimapi
