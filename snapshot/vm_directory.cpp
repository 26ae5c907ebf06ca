#include "snapshot/vm_directory.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "snapshot/durable_file.h"
#include "snapshot/names.h"
#include "snapshot/uuid.h"

namespace stasis::snapshot {
namespace {

using base::ErrorKind;
using base::fail;
using base::Fd;
using base::Result;
using base::Status;

constexpr std::size_t kMaxConfig = 1 << 20;
constexpr std::size_t kMaxPresent = 8 << 20;
constexpr std::size_t kMaxStatus = 256 << 10;
constexpr std::size_t kMaxNote = 4096;
constexpr std::string_view kNewVmPrefix = ".new-";
constexpr std::string_view kRemovedVmPrefix = ".removed-";

std::string vms_path(const std::string& root) {
  return root + "/vms";
}

/// What the file is of stands in front of the error.
template <typename T>
Result<T> of_machine(const std::string& name, Result<T> result) {
  if (result) return result;
  return fail(result.error().with_context(fmt::format("machine \"{}\"", name)));
}

Result<Fd> open_folder(const std::string& path) {
  return base::open_file(path, O_RDONLY | O_DIRECTORY);
}

/// A system call's answer as a status; `what` is for the error.
Status checked(int answer, std::string_view what) {
  if (answer >= 0) return {};
  return fail(base::errno_error(what));
}

Status make_folder(const Fd& parent, const char* name) {
  return checked(::mkdirat(parent.get(), name, 0700), fmt::format("folder \"{}\"", name));
}

/// ROOT/vms, made if need be, open and locked against other creations and removals.
Result<Fd> claim_vms(const std::string& root) {
  const std::string path = vms_path(root);
  std::error_code error;
  const mode_t before = ::umask(077);
  std::filesystem::create_directories(path, error);
  ::umask(before);
  if (error) return fail(base::errno_error(error.value(), fmt::format("\"{}\"", path)));
  Fd vms = TRY(open_folder(path));
  TRY(checked(::flock(vms.get(), LOCK_EX), path));
  return vms;
}

/// Removes what creations and removals left that did not come to their end.
void sweep(const std::string& vms) {
  std::error_code error;
  std::vector<std::filesystem::path> leftovers;
  for (const auto& entry : std::filesystem::directory_iterator(vms, error)) {
    const std::string name = entry.path().filename();
    if (name.starts_with(kNewVmPrefix) || name.starts_with(kRemovedVmPrefix)) {
      leftovers.push_back(entry.path());
    }
  }
  for (const auto& path : leftovers) std::filesystem::remove_all(path, error);
}

struct flock whole_file() {
  struct flock range {};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

Result<Fd> open_lock_file(const Fd& folder) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
  Fd file(::openat(folder.get(), "lock", kFlags, 0600));
  if (!file.is_open()) return fail(base::errno_error("\"lock\""));
  return file;
}

/// The process number that the holder of the lock wrote; 0 when it did not yet.
pid_t written_pid(const Fd& file) {
  char text[16] = {};
  if (::pread(file.get(), text, sizeof text - 1, 0) <= 0) return 0;
  pid_t pid = 0;
  std::from_chars(text, text + sizeof text, pid);
  return std::max(pid, 0);
}

/// What a new folder holds; its parent is not durable yet.
Status fill(const Fd& folder, const VmConfig& config) {
  TRY(make_folder(folder, "disks"));
  TRY(make_folder(folder, "snapshots"));
  return replace_durably(folder, "config.json", TRY(encode_config(config)));
}

Status check_socket_fits(const std::string& path) {
  constexpr std::size_t kMaxPath = sizeof(sockaddr_un::sun_path) - 1;
  constexpr std::size_t kLongest = sizeof("/control.sock") - 1;
  if (path.size() + kLongest <= kMaxPath) return {};
  return fail(
      ErrorKind::kInvalidArgument,
      fmt::format("\"{}\": too long a path for a socket in it, by {} bytes; set STASIS_ROOT "
                  "to a shorter one",
                  path, path.size() + kLongest - kMaxPath));
}

tl::unexpected<base::Error> name_is_taken(const std::string& name) {
  return fail(ErrorKind::kInvalidState,
              fmt::format("machine \"{0}\": exists; start it with: stasis start {0}, or remove it "
                          "with: stasis rm {0}",
                          name));
}

tl::unexpected<base::Error> no_such_machine(const std::string& root, const std::string& name) {
  const auto names = VmDirectory::list(root);
  std::string known;
  constexpr std::size_t kMaxNamed = 8;
  for (std::size_t i = 0; names && i < std::min(names->size(), kMaxNamed); ++i) {
    known += (i == 0 ? "" : ", ") + (*names)[i];
  }
  if (names && names->size() > kMaxNamed) known += ", ...";
  return fail(ErrorKind::kNotFound,
              fmt::format("machine \"{}\": not found; {}", name,
                          known.empty() ? "there is none; make one with: stasis run --name"
                                        : "there are: " + known));
}

bool is_dead(pid_t pid) {
  return pid > 0 && ::kill(pid, 0) != 0 && errno == ESRCH;
}

/// Takes the lock, or leaves errno. A process that was killed while it captured memory
/// leaves a child that dies with it, but a moment later.
bool take(const Fd& file) {
  constexpr int kTries = 50;
  struct flock range = whole_file();
  for (int i = 0; i < kTries; ++i) {
    if (::fcntl(file.get(), F_OFD_SETLK, &range) == 0) return true;
    const int error = errno;
    const bool is_orphan = (error == EAGAIN || error == EACCES) && is_dead(written_pid(file));
    errno = error;
    if (!is_orphan) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

}  // namespace

/// As wide as any number, over what the process before wrote. To cut that off first can wait for
/// the disk: a quarter of a millisecond was seen on ext4, at each start.
Status VmLock::name_this_process() const {
  const std::string text = fmt::format("{:<10}\n", ::getpid());
  return checked(static_cast<int>(::pwrite(file_.get(), text.data(), text.size(), 0)), "\"lock\"");
}

Result<std::pair<VmDirectory, VmLock>> VmDirectory::create(const std::string& root,
                                                           const VmConfig& config) {
  const std::string& name = config.machine.name;
  TRY(check_vm_name(name));
  const std::string path = vms_path(root) + '/' + name;
  TRY(check_socket_fits(path));
  const Fd vms = TRY(claim_vms(root));
  sweep(vms_path(root));
  const std::string hidden = std::string(kNewVmPrefix) + TRY(make_uuid());
  TRY(make_folder(vms, hidden.c_str()));
  Fd folder = TRY(open_folder(vms_path(root) + '/' + hidden));
  VmDirectory directory(name, path, std::move(folder));
  TRY(of_machine(name, fill(directory.folder_, config)));
  VmLock lock = TRY(directory.lock_in_place());
  if (::renameat2(vms.get(), hidden.c_str(), vms.get(), name.c_str(), RENAME_NOREPLACE) != 0) {
    const int error = errno;
    sweep(vms_path(root));
    if (error == EEXIST) return name_is_taken(name);
    return fail(base::errno_error(error, fmt::format("machine \"{}\"", name)));
  }
  TRY(sync_folder(vms));
  return std::pair(std::move(directory), std::move(lock));
}

Result<VmDirectory> VmDirectory::open(const std::string& root, const std::string& name) {
  TRY(check_vm_name(name));
  std::string path = vms_path(root) + '/' + name;
  Fd folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (folder.is_open()) return VmDirectory(name, std::move(path), std::move(folder));
  if (errno == ENOENT) return no_such_machine(root, name);
  return fail(base::errno_error(fmt::format("machine \"{}\": \"{}\"", name, path)));
}

Result<std::vector<std::string>> VmDirectory::list(const std::string& root) {
  std::vector<std::string> names;
  const std::string path = vms_path(root);
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
    std::error_code ignored;
    const std::string name = entry.path().filename();
    if (entry.is_directory(ignored) && check_vm_name(name)) names.push_back(name);
  }
  if (error && error != std::errc::no_such_file_or_directory) {
    return fail(base::errno_error(error.value(), fmt::format("\"{}\"", path)));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<VmDirectory> VmDirectory::duplicate() const {
  Fd folder(::fcntl(folder_.get(), F_DUPFD_CLOEXEC, 0));
  if (!folder.is_open()) return fail(base::errno_error(fmt::format("machine \"{}\"", name_)));
  return VmDirectory(name_, path_, std::move(folder));
}

Result<VmLock> VmDirectory::lock_in_place() const {
  VmLock lock(TRY(open_lock_file(folder_)));
  if (!take(lock.file_)) {
    if (errno != EAGAIN && errno != EACCES) return fail(base::errno_error("\"lock\""));
    return fail(ErrorKind::kBusy, fmt::format("machine \"{}\": in use by process {}; stop it with: "
                                              "stasis stop {}",
                                              name_, written_pid(lock.file_), name_));
  }
  TRY(lock.name_this_process());
  return lock;
}

Result<VmLock> VmDirectory::lock() const {
  VmLock lock = TRY(lock_in_place());
  // It may have been removed between `open` and now: then its lock is worth nothing.
  struct stat mine {};
  struct stat there {};
  const bool is_there = ::fstat(folder_.get(), &mine) == 0 && ::stat(path_.c_str(), &there) == 0 &&
                        mine.st_ino == there.st_ino && mine.st_dev == there.st_dev;
  if (is_there) return lock;
  return fail(ErrorKind::kNotFound, fmt::format("machine \"{}\": was just removed", name_));
}

Result<std::optional<pid_t>> VmDirectory::holder() const {
  const Fd file(::openat(folder_.get(), "lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW));
  if (!file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    return fail(base::errno_error(fmt::format("machine \"{}\": \"lock\"", name_)));
  }
  struct flock range = whole_file();
  TRY(checked(::fcntl(file.get(), F_OFD_GETLK, &range), "\"lock\""));
  if (range.l_type == F_UNLCK) return std::nullopt;
  return written_pid(file);
}

Result<VmConfig> VmDirectory::config() const {
  const auto read = [&]() -> Result<VmConfig> {
    VmConfig config = TRY(decode_config(TRY(read_small_file(folder_, "config.json", kMaxConfig))));
    if (config.machine.name == name_) return config;
    return fail(ErrorKind::kCorrupt,
                fmt::format("config.json: is of machine \"{}\"", config.machine.name));
  };
  return of_machine(name_, read());
}

Result<Present> VmDirectory::present() const {
  auto text = read_small_file(folder_, "current.json", kMaxPresent);
  if (!text && text.error().kind() == ErrorKind::kNotFound) return Present{};
  return of_machine(name_, std::move(text).and_then(decode_present)).map([this](Present present) {
    return settled(std::move(present));
  });
}

Present VmDirectory::settled(Present present) const {
  const auto keep_if_there = [this](std::string& id) {
    const std::string path = "snapshots/" + id;
    if (::faccessat(folder_.get(), path.c_str(), F_OK, 0) != 0) id.clear();
  };
  keep_if_there(present.current);
  if (present.current.empty()) {
    present.current = present.previous;
    keep_if_there(present.current);
  }
  present.previous.clear();
  keep_if_there(present.last_applied);
  return present;
}

Status VmDirectory::prepare_present(const Present& present) const {
  const auto text = TRY(encode_present(present));
  return of_machine(name_, prepare_replacement(folder_, "current.json", text));
}

Status VmDirectory::save_prepared_present() const {
  return of_machine(name_, put_in_place(folder_, "current.json"));
}

Status VmDirectory::save_present(const Present& present) const {
  TRY(prepare_present(present));
  return save_prepared_present();
}

Result<std::optional<RunRecord>> VmDirectory::run_record() const {
  auto text = read_small_file(folder_, "status.json", kMaxStatus);
  if (!text && text.error().kind() == ErrorKind::kNotFound) return std::nullopt;
  return TRY(of_machine(name_, std::move(text).and_then(decode_run_record)));
}

Status VmDirectory::save_run_record(const RunRecord& record) const {
  return of_machine(name_, replace_durably(folder_, "status.json", encode_run_record(record)));
}

Result<std::optional<RunRecord>> VmDirectory::settled_run_record() const {
  auto record = TRY(run_record());
  if (!record || record->end != RunEnd::kNone) return record;
  const auto note = read_small_file(folder_, "crash", kMaxNote);
  record->end = RunEnd::kCrashed;
  record->detail = crash_sentence(note.value_or(""));
  return record;
}

Result<Fd> VmDirectory::open_crash_note() const {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
  Fd file(::openat(folder_.get(), "crash", kFlags, 0600));
  if (!file.is_open()) return fail(base::errno_error(fmt::format("\"{}/crash\"", path_)));
  return file;
}

Status VmDirectory::remove(VmLock /*lock*/) && {
  const std::string vms_folder = std::filesystem::path(path_).parent_path();
  const Fd vms = TRY(open_folder(vms_folder));
  TRY(checked(::flock(vms.get(), LOCK_EX), vms_folder));
  const std::string hidden = std::string(kRemovedVmPrefix) + TRY(make_uuid());
  TRY(checked(::renameat(vms.get(), name_.c_str(), vms.get(), hidden.c_str()),
              fmt::format("machine \"{}\"", name_)));
  TRY(sync_folder(vms));
  sweep(vms_folder);
  return {};
}

}  // namespace stasis::snapshot
