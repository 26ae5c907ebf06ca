#include "base/mapping.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdint>
#include <utility>

namespace stasis::base {
namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

/// Unmaps what lies outside the aligned middle of an over-sized mapping.
void* trim_to_alignment(void* start, std::size_t mapped, std::size_t wanted) {
  const auto address = reinterpret_cast<std::uintptr_t>(start);
  const auto aligned = (address + kHugePage - 1) & ~(kHugePage - 1);
  const std::size_t head = aligned - address;
  const std::size_t tail = mapped - head - wanted;
  if (head != 0) ::munmap(start, head);
  if (tail != 0) ::munmap(reinterpret_cast<void*>(aligned + wanted), tail);
  return reinterpret_cast<void*>(aligned);
}

}  // namespace

Result<Mapping> Mapping::anonymous(std::size_t size_bytes) {
  const std::size_t slack = size_bytes >= kHugePage ? kHugePage : 0;
  void* start = ::mmap(nullptr, size_bytes + slack, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return fail(errno_error(fmt::format("mapping {} bytes", size_bytes)));
  if (slack != 0) start = trim_to_alignment(start, size_bytes + slack, size_bytes);
  return Mapping(start, size_bytes);
}

Result<Mapping> Mapping::shared_anonymous(std::size_t size_bytes) {
  void* start =
      ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) return fail(errno_error(fmt::format("mapping {} bytes", size_bytes)));
  return Mapping(start, size_bytes);
}

Result<Mapping> Mapping::shared(const Fd& fd, std::size_t size_bytes) {
  void* start = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (start == MAP_FAILED) return fail(errno_error(fmt::format("mapping {} bytes", size_bytes)));
  return Mapping(start, size_bytes);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Mapping::~Mapping() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace stasis::base
