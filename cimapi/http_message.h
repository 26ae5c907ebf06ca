#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stasis::cimapi {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

/// The value of a header, whatever the case of its name; empty: absent.
std::string_view header(const HttpHeaders& headers, std::string_view name);

struct HttpRequest {
  std::string verb;  ///< "POST"
  std::string target;
  HttpHeaders headers;
  std::string body;
};

struct HttpResponse {
  unsigned status = 200;
  HttpHeaders headers;
  std::string body;
};

/// Text with %XX in place of bytes that a header or an URL cannot hold, and back. A '%' that is
/// followed by no two hexadecimal digits stands for itself.
std::string percent_encoded(std::string_view text);
std::string percent_decoded(std::string_view text);

}  // namespace stasis::cimapi
