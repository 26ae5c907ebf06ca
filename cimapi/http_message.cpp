#include "cimapi/http_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "cimapi/value.h"

namespace stasis::cimapi {

std::string_view header(const HttpHeaders& headers, std::string_view name) {
  const auto found = std::find_if(headers.begin(), headers.end(),
                                  [&](const auto& entry) { return same_name(entry.first, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (byte < 0x20 || byte >= 0x7F || letter == '%') {
      out += fmt::format("%{:02X}", byte);
    } else {
      out += letter;
    }
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    unsigned byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() &&
        std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      out += static_cast<char>(byte);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace stasis::cimapi
