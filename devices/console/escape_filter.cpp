#include "devices/console/escape_filter.h"

namespace stasis::devices {

std::vector<std::uint8_t> EscapeFilter::filter(std::span<const std::uint8_t> typed) {
  std::vector<std::uint8_t> out;
  for (const std::uint8_t key : typed) {
    if (escaped_) {
      escaped_ = false;
      after_escape(key, out);
    } else if (key == kEscape) {
      escaped_ = true;
    } else {
      out.push_back(key);
    }
  }
  return out;
}

void EscapeFilter::after_escape(std::uint8_t key, std::vector<std::uint8_t>& out) {
  switch (key) {
    case 'x':
      return actions_.quit();
    case '?':
      return actions_.show_help();
    default:
      out.push_back(kEscape);
      if (key != kEscape) out.push_back(key);
  }
}

}  // namespace stasis::devices
