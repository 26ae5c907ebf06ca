// fmt, compiled once into our own library: its headers alone (FMT_HEADER_ONLY) cost each source
// more than three seconds of compile time, and its shared library costs start-up time.
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

// What fmt's headers leave to its library, as far as the linker asks for it.
template auto thousands_sep_impl<char>(locale_ref) -> thousands_sep_result<char>;
template auto decimal_point_impl<char>(locale_ref) -> char;

}  // namespace detail
FMT_END_NAMESPACE
