#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/result.h"
#include "cimapi/http_message.h"

namespace stasis::cimapi {

/// One HTTP connection over a UNIX socket, kept open between requests. Threads: one at a time.
class HttpClient {
 public:
  /// kNotFound: no such socket; kPermissionDenied; kIo: nobody listens; kTimeout.
  static base::Result<std::unique_ptr<HttpClient>> connect(const std::string& socket_path,
                                                           std::chrono::milliseconds timeout);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Sends a request and waits for its answer. kIo: the peer went away; kTimeout. After an error
  /// the connection is of no more use.
  base::Result<HttpResponse> exchange(const HttpRequest& request,
                                      std::chrono::milliseconds timeout);

 private:
  class Impl;
  explicit HttpClient(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace stasis::cimapi
