#include "snapshot/ram_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/fd.h"

namespace stasis::snapshot {
namespace {

alignas(64) constexpr std::array<std::byte, kPageBytes> kZeroPage{};

/// One line of /proc/self/maps (proc(5)).
struct Area {
  std::uintptr_t start = 0;
  std::uintptr_t end = 0;
  bool is_shared = false;
  bool is_file = false;  // memory that comes from a file, or from a memfd or shared memory
};

/// Opens without a message, which would need malloc.
base::Fd open_for_reading(const char* path) {
  return base::Fd(::open(path, O_RDONLY | O_CLOEXEC));
}

/// Bytes of a file one by one, out of a buffer on the stack.
class ByteReader {
 public:
  explicit ByteReader(int fd) : fd_(fd) {}

  /// The next byte, or -1 at the end.
  int next() {
    if (place_ == filled_) {
      const ssize_t count = ::read(fd_, buffer_.data(), buffer_.size());
      if (count <= 0) return -1;
      place_ = 0;
      filled_ = static_cast<std::size_t>(count);
    }
    return buffer_[place_++];
  }

  /// A number of base 16 or 10; `last` becomes the byte that ended it.
  std::uintptr_t number(unsigned base, int& last) {
    std::uintptr_t value = 0;
    while (true) {
      last = next();
      const int digit = last >= '0' && last <= '9'   ? last - '0'
                        : last >= 'a' && last <= 'f' ? last - 'a' + 10
                                                     : 16;
      if (digit >= static_cast<int>(base)) return value;
      value = value * base + static_cast<unsigned>(digit);
    }
  }

  void skip_past(char wanted) {
    for (int byte = next(); byte >= 0 && byte != wanted;) byte = next();
  }

 private:
  int fd_;
  std::size_t place_ = 0;
  std::size_t filled_ = 0;
  std::array<unsigned char, 4096> buffer_;
};

/// "start-end rwxp offset device inode path": false at the end of the file.
bool read_area(ByteReader& in, Area& area) {
  int last = 0;
  area.start = in.number(16, last);
  if (last != '-') return false;
  area.end = in.number(16, last);
  std::array<int, 4> permissions{};
  for (int& letter : permissions) letter = in.next();
  area.is_shared = permissions[3] == 's';
  in.skip_past(' ');  // behind the permissions
  in.skip_past(' ');  // behind the offset
  in.skip_past(' ');  // behind the device
  area.is_file = in.number(10, last) != 0;
  if (last != '\n') in.skip_past('\n');
  return true;
}

/// Calls `action(area)` for each area that overlaps [start, end), in the order of addresses.
/// False when /proc does not tell.
template <typename Action>
bool for_each_area(std::uintptr_t start, std::uintptr_t end, Action&& action) {
  const base::Fd maps = open_for_reading("/proc/self/maps");
  if (!maps.is_open()) return false;
  ByteReader in(maps.get());
  Area area;
  while (read_area(in, area) && area.start < end) {
    if (area.end > start) action(area);
  }
  return true;
}

std::uintptr_t address(const std::byte* place) {
  return reinterpret_cast<std::uintptr_t>(place);
}

/// Collects the runs of one region, page by page in ascending order.
class RegionScan {
 public:
  RegionScan(const base::MemoryRegion& region, std::uint64_t position, PageArray<RamRun>& runs)
      : start_(region.bytes.data()),
        end_(start_ + region.bytes.size()),
        first_page_(position / kPageBytes),
        first_run_(runs.size()),
        runs_(runs),
        pagemap_(open_for_reading("/proc/self/pagemap")) {}

  int run() {
    const bool has_areas = for_each_area(address(start_), address(end_),
                                         [this](const Area& area) { scan_area(area); });
    if (!has_areas) scan_all(start_, end_);
    return error_;
  }

 private:
  void scan_area(const Area& area) {
    const std::byte* from = std::max(start_, reinterpret_cast<const std::byte*>(area.start));
    const std::byte* to =
        std::min<const std::byte*>(end_, reinterpret_cast<const std::byte*>(area.end));
    if (area.is_file || area.is_shared) {
      scan_all(from, to);
    } else {
      scan_present(from, to);
    }
  }

  void scan_all(const std::byte* from, const std::byte* to) {
    for (; from < to; from += kPageBytes) look_at(from);
  }

  /// Looks at the pages that have an entry in the page table
  /// (Documentation/admin-guide/mm/pagemap.rst): bit 63 present, bit 62 swapped.
  void scan_present(const std::byte* from, const std::byte* to) {
    constexpr std::uint64_t kTouched = std::uint64_t{3} << 62;
    std::array<std::uint64_t, 4096> entries;
    while (from < to) {
      const auto count =
          std::min<std::size_t>(entries.size(), static_cast<std::size_t>(to - from) / kPageBytes);
      const std::size_t bytes = count * sizeof entries[0];
      const auto place = static_cast<off_t>(address(from) / kPageBytes * sizeof entries[0]);
      if (::pread(pagemap_.get(), entries.data(), bytes, place) != static_cast<ssize_t>(bytes)) {
        return scan_all(from, to);
      }
      for (std::size_t i = 0; i < count; ++i, from += kPageBytes) {
        if ((entries[i] & kTouched) != 0) look_at(from);
      }
    }
  }

  void look_at(const std::byte* page) {
    if (std::memcmp(page, kZeroPage.data(), kPageBytes) == 0) return;
    const std::uint64_t number =
        first_page_ + static_cast<std::uint64_t>(page - start_) / kPageBytes;
    // Runs end with their region: what lies behind one is elsewhere in this process.
    if (runs_.size() > first_run_ && runs_.back().end_page() == number) {
      ++runs_.back().page_count;
    } else if (!runs_.push({number, 1})) {
      error_ = ENOMEM;
    }
  }

  const std::byte* start_;
  const std::byte* end_;
  std::uint64_t first_page_;
  std::size_t first_run_;
  PageArray<RamRun>& runs_;
  base::Fd pagemap_;
  int error_ = 0;
};

}  // namespace

int find_stored_runs(std::span<const base::MemoryRegion> regions, PageArray<RamRun>& runs) {
  std::uint64_t position = 0;
  for (const auto& region : regions) {
    if (address(region.bytes.data()) % kPageBytes != 0 || region.bytes.size() % kPageBytes != 0) {
      return EINVAL;
    }
    if (const int error = RegionScan(region, position, runs).run(); error != 0) return error;
    position += region.bytes.size();
  }
  return 0;
}

MemoryKinds kinds_of(std::span<const std::byte> bytes) {
  MemoryKinds kinds;
  const std::uintptr_t start = address(bytes.data());
  for_each_area(start, start + bytes.size(), [&kinds](const Area& area) {
    kinds.has_shared |= area.is_shared;
    kinds.has_file |= area.is_file;
  });
  return kinds;
}

}  // namespace stasis::snapshot
