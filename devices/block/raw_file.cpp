#include "devices/block/raw_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <optional>
#include <span>
#include <thread>

namespace stasis::devices {
namespace {

using base::ErrorKind;
using base::fail;

std::string disk_message(const std::string& path, std::string_view text) {
  return fmt::format("disk \"{}\": {}", path, text);
}

base::Error open_error(const std::string& path, bool read_only, int number) {
  const auto say = [&](ErrorKind kind, std::string_view text) {
    return base::Error(kind, disk_message(path, text));
  };
  switch (number) {
    case ENOENT:
      return say(ErrorKind::kNotFound,
                 fmt::format("not found; create it with: truncate -s 1G {}", path));
    case EBUSY:
      return say(ErrorKind::kBusy, "in use by the host, perhaps mounted; unmount it");
    case EACCES:
    case EPERM:
    case EROFS:
      return say(ErrorKind::kPermissionDenied,
                 fmt::format("{}; {}", std::strerror(number),
                             read_only ? "give this user the right to read it"
                                       : "give this user the right to write it, or attach it "
                                         "read-only"));
    default:
      return base::errno_error(number, fmt::format("disk \"{}\"", path));
  }
}

/// What `mode` is, or nothing when a disk can be that.
std::optional<std::string_view> why_no_disk(mode_t mode) {
  if (S_ISREG(mode) || S_ISBLK(mode)) return std::nullopt;
  return S_ISDIR(mode)   ? "is a directory"
         : S_ISCHR(mode) ? "is a character device"
                         : "is a pipe or socket";
}

base::Result<struct stat> check_kind(const std::string& path, const struct stat& status) {
  const auto reason = why_no_disk(status.st_mode);
  if (!reason) return status;
  return fail(
      ErrorKind::kInvalidArgument,
      disk_message(path, fmt::format("{}; a disk is a regular file or a block device", *reason)));
}

base::Result<base::Fd> open_disk(const std::string& path, bool read_only) {
  struct stat status {};
  if (::stat(path.c_str(), &status) < 0) return fail(open_error(path, read_only, errno));
  TRY(check_kind(path, status));  // before open(2), which would wait for a pipe's other end
  int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
  // Without O_CREAT, for a block device: fails when the host has it mounted (open(2)).
  if (S_ISBLK(status.st_mode) && !read_only) flags |= O_EXCL;
  int number = -1;
  do {
    number = ::open(path.c_str(), flags);
  } while (number < 0 && errno == EINTR);
  if (number < 0) return fail(open_error(path, read_only, errno));
  return base::Fd(number);
}

struct LockRange {
  off_t start;
  off_t size;  // 0: to the end, however far that moves
  short type;
};

constexpr std::array<LockRange, 1> kExclusiveLock{{{0, 0, F_WRLCK}}};

// QEMU says by locks on bytes 100..299 what it does with an image (100 + n) and what it does not
// allow others (200 + n); n is 1 for writing, 3 for resizing (its block/file-posix.c). What we read
// others may read, so these bytes say just that.
constexpr std::array<LockRange, 7> kSharedLock{{{0, 100, F_RDLCK},
                                                {100, 101, F_UNLCK},
                                                {201, 1, F_RDLCK},
                                                {202, 1, F_UNLCK},
                                                {203, 1, F_RDLCK},
                                                {204, 96, F_UNLCK},
                                                {300, 0, F_RDLCK}}};
constexpr off_t kQemuWrites = 101;

// The kernel closes the files of a killed process with an io_uring a moment after its end.
constexpr std::chrono::milliseconds kLockPatience{500};
constexpr std::chrono::milliseconds kLockPause{5};

/// Why a lock was not to be had.
struct LockHolder {
  int error = 0;     // 0: somebody has it
  std::string name;  // of that one
};

struct flock lock_request(const LockRange& range) {
  struct flock request {};
  request.l_type = range.type;
  request.l_whence = SEEK_SET;
  request.l_start = range.start;
  request.l_len = range.size;
  return request;
}

/// Who has a lock that is in the way of `range`.
std::optional<LockHolder> holder_of(const base::Fd& fd, const LockRange& range) {
  struct flock request = lock_request(range);
  if (::fcntl(fd.get(), F_OFD_GETLK, &request) != 0 || request.l_type == F_UNLCK) return {};
  // The kernel says -1 for open file description locks: they have no owning process.
  return LockHolder{
      0, request.l_pid > 0 ? fmt::format("process {}", request.l_pid) : "another process or disk"};
}

/// Nothing when `fd` has the lock now.
std::optional<LockHolder> take_lock(const base::Fd& fd, std::span<const LockRange> ranges) {
  const bool is_shared = ranges.size() > 1;
  for (const LockRange& range : ranges) {
    struct flock request = lock_request(range);
    if (::fcntl(fd.get(), F_OFD_SETLK, &request) == 0) continue;
    if (errno != EAGAIN && errno != EACCES) return LockHolder{errno, {}};
    return holder_of(fd, range).value_or(LockHolder{0, "another process or disk"});
  }
  return is_shared ? holder_of(fd, {kQemuWrites, 1, F_WRLCK}) : std::nullopt;
}

base::Result<BlockImageInfo> measure(const base::Fd& fd, const struct stat& status,
                                     bool read_only) {
  BlockImageInfo info;
  info.read_only = read_only;
  info.identity = {status.st_dev, status.st_ino};
  if (S_ISREG(status.st_mode)) {
    info.size_bytes = static_cast<std::uint64_t>(status.st_size);
    return info;
  }
  unsigned physical = 0;
  if (::ioctl(fd.get(), BLKGETSIZE64, &info.size_bytes) < 0 ||
      ::ioctl(fd.get(), BLKPBSZGET, &physical) < 0) {
    return fail(base::errno_error("size of the block device"));
  }
  info.physical_block_size = std::max<std::uint32_t>(physical, kSectorSize);
  return info;
}

base::Status check_size(const std::string& path, std::uint64_t size) {
  if (size == 0) {
    return fail(
        ErrorKind::kInvalidArgument,
        disk_message(path, fmt::format("is empty; give it a size with: truncate -s 1G {}", path)));
  }
  if (size % kSectorSize == 0) return {};
  return fail(ErrorKind::kInvalidArgument,
              disk_message(path, fmt::format("size {} is not a multiple of {} bytes; pad it with: "
                                             "truncate -s %{} {}",
                                             size, kSectorSize, kSectorSize, path)));
}

struct Format {
  std::size_t offset;
  std::string_view magic;
  std::string_view name;
  std::string_view qemu_name;
};

// Beginnings as in the formats' own specifications (qcow2: QEMU docs/interop/qcow2.txt; VMDK:
// VMware Virtual Disk Format 5.0; VHDX: MS-VHDX 2.2; VHD: VHD format 1.0; VDI: VirtualBox VDI).
using namespace std::string_view_literals;
constexpr std::array<Format, 8> kFormats{{
    {0, "QFI\xfb"sv, "qcow2", "qcow2"},
    {0, "QED\0"sv, "qed", "qed"},
    {0, "KDMV"sv, "vmdk", "vmdk"},
    {0, "COWD"sv, "vmdk", "vmdk"},
    {0, "# Disk DescriptorFile"sv, "vmdk", "vmdk"},
    {0, "vhdxfile"sv, "vhdx", "vhdx"},
    {0, "conectix"sv, "vhd", "vpc"},
    {64, "\x7f\x10\xda\xbe"sv, "vdi", "vdi"},
}};

constexpr std::string_view kSayQcow2 = ", or say so: format=qcow2, for a backing file qcow2:FILE";

base::Status check_format(const base::Fd& fd, const std::string& path) {
  std::array<char, kSectorSize> start{};
  if (::pread(fd.get(), start.data(), start.size(), 0) < 0) {
    return fail(base::errno_error(fmt::format("disk \"{}\": read", path)));
  }
  const std::string_view text(start.data(), start.size());
  for (const Format& format : kFormats) {
    if (text.substr(format.offset, format.magic.size()) != format.magic) continue;
    return fail(ErrorKind::kInvalidArgument,
                disk_message(path, fmt::format("is a {} image, not a raw one; convert it with: "
                                               "qemu-img convert -f {} -O raw {} {}.raw{}",
                                               format.name, format.qemu_name, path, path,
                                               format.name == "qcow2" ? kSayQcow2 : "")));
  }
  return {};
}

}  // namespace

base::Status lock_disk_file(const base::Fd& fd, const std::string& path, bool read_only) {
  const auto deadline = std::chrono::steady_clock::now() + kLockPatience;
  const auto ranges = read_only ? std::span<const LockRange>(kSharedLock)
                                : std::span<const LockRange>(kExclusiveLock);
  auto holder = take_lock(fd, ranges);
  while (holder && holder->error == 0 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(kLockPause);
    holder = take_lock(fd, ranges);
  }
  if (!holder) return {};
  if (holder->error != 0) {
    return fail(
        base::errno_error(holder->error, fmt::format("disk \"{}\": cannot be locked", path)));
  }
  return fail(ErrorKind::kBusy,
              disk_message(path, fmt::format("in use by {}; stop that one first (fuser -v {} names "
                                             "it), or attach the disk read-only in both",
                                             holder->name, path)));
}

base::Result<RawFile> open_disk_file(const std::string& path, bool read_only) {
  base::Fd fd = TRY(open_disk(path, read_only));
  struct stat status {};
  if (::fstat(fd.get(), &status) < 0) return fail(open_error(path, read_only, errno));
  TRY(check_kind(path, status));  // again: the name may mean another file by now
  TRY(lock_disk_file(fd, path, read_only));
  // After the lock, so that whoever had the file before is done with it.
  if (::fstat(fd.get(), &status) < 0) return fail(open_error(path, read_only, errno));
  auto info = measure(fd, status, read_only);
  if (!info) return fail(info.error().with_context(fmt::format("disk \"{}\"", path)));
  return RawFile{std::move(fd), *info, S_ISBLK(status.st_mode)};
}

base::Result<RawFile> open_raw_file(const std::string& path, bool read_only) {
  RawFile file = TRY(open_disk_file(path, read_only));
  TRY(check_size(path, file.info.size_bytes));
  TRY(check_format(file.fd, path));
  return file;
}

}  // namespace stasis::devices
