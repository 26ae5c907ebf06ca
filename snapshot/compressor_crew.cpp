#include "snapshot/compressor_crew.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ctime>
#include <new>
#include <span>
#include <system_error>

#define ZSTD_STATIC_LINKING_ONLY  // contexts in memory of our own, which takes no malloc
#include <zstd.h>

#include "snapshot/quiet_fork.h"

namespace stasis::snapshot {

struct CompressorCrew::Shared {
  std::atomic<bool> stop{false};
  std::array<std::array<CompressorSlot, 2>, kMaxWorkers> slots;
};

namespace {

static_assert(std::atomic<std::uint32_t>::is_always_lock_free);
static_assert(ZSTD_COMPRESSBOUND(kFrameBytes) + 4 <= kFrameBound);

constexpr timespec kPatience{0, 100'000'000};  // then look whether the other side still lives

/// Waits while `word` is `value`, at most kPatience; futexes of shared memory work across
/// processes.
void wait_while(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  ::syscall(SYS_futex, &word, FUTEX_WAIT, value, &kPatience, nullptr, 0);
}

void set_and_wake(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  word.store(value, std::memory_order_release);
  ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
}

void* map_memory(std::size_t size, int sharing) {
  void* start =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, sharing | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return start == MAP_FAILED ? nullptr : start;
}

std::size_t workspace_size(int level) {
  const auto parameters = ZSTD_getCParams(level, kFrameBytes, 0);
  return ZSTD_estimateCCtxSize_usingCParams(parameters) + (std::size_t{64} << 10);
}

ZSTD_CCtx* make_context(void* workspace, std::size_t size, int level) {
  ZSTD_CCtx* context = ZSTD_initStaticCCtx(workspace, size);
  if (context == nullptr) return nullptr;
  // A static context begins with all parameters zero, not with their defaults: no content size.
  ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters);
  ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, level);
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);  // for stock zstd, and the seek table
  return context;
}

/// Compresses one frame of packed pages behind `slot.size`. False when zstd fails.
bool add_frame(ZSTD_CCtx* context, std::span<const std::byte> content, CompressorSlot& slot) {
  std::byte* out = slot.bytes.data() + slot.size;
  const std::size_t size =
      ZSTD_compress2(context, out, kFrameBound, content.data(), content.size());
  if (ZSTD_isError(size) != 0U) return false;
  SeekEntry& frame = slot.frames[slot.frame_count++];
  frame.compressed_bytes = static_cast<std::uint32_t>(size);
  frame.content_bytes = static_cast<std::uint32_t>(content.size());
  // The last four bytes of a frame are what the table wants, too: low half of XXH64 (RFC 8878).
  std::memcpy(&frame.checksum, out + size - sizeof frame.checksum, sizeof frame.checksum);
  slot.size += size;
  return true;
}

/// The packed bytes [start, start + size), in `buffer` unless they lie in one piece anyway.
std::span<const std::byte> gather(const RamContents& contents, std::uint64_t start,
                                  std::uint64_t size, std::span<std::byte> buffer) {
  std::span<const std::byte> whole;
  std::size_t filled = 0;
  contents.for_each_packed(start, size, [&](std::uint64_t, std::span<const std::byte> piece) {
    if (piece.size() == size) {
      whole = piece;
    } else {
      std::memcpy(buffer.data() + filled, piece.data(), piece.size());
      filled += piece.size();
    }
  });
  return whole.empty() ? std::span<const std::byte>(buffer.first(filled)) : whole;
}

}  // namespace

CompressorCrew::CompressorCrew(const RamContents& contents, const RamTarget& target)
    : contents_(contents), target_(target), workers_(std::clamp(target.workers, 1U, kMaxWorkers)) {
  workers_ = static_cast<unsigned>(
      std::min<std::uint64_t>(workers_, std::max<std::uint64_t>(batch_count(), 1)));
}

std::uint64_t CompressorCrew::batch_count() const {
  return (contents_.stored_bytes() + kBatchBytes - 1) / kBatchBytes;
}

CompressorSlot& CompressorCrew::slot_of(std::uint64_t batch) const {
  return shared_->slots[batch % workers_][batch / workers_ % 2];
}

int CompressorCrew::start() {
  workspace_bytes_ = workspace_size(*target_.level);
  void* memory = map_memory(sizeof(Shared), MAP_SHARED);
  if (memory == nullptr) return ENOMEM;
  // Pages from mmap are zero already: only what is not a plain number is begun, or the constructor
  // would touch every byte of the slots.
  shared_ = static_cast<Shared*>(memory);
  owner_ = ::getpid();
  for (unsigned i = 0; i < workers_; ++i) {
    workspaces_[i] = map_memory(workspace_bytes_ + kFrameBytes, MAP_PRIVATE);
    if (workspaces_[i] == nullptr) return ENOMEM;
    if (const int error = start_worker(i); error != 0) return error;
  }
  return 0;
}

int CompressorCrew::start_worker(unsigned number) {
  if (!target_.forks_workers) {
    try {
      threads_[number] =
          std::thread([this, number] { work(number, workspaces_[number], workspace_bytes_); });
    } catch (const std::system_error& error) {
      return error.code().value();
    }
    return 0;
  }
  const pid_t child = quiet_fork(nullptr);
  if (child < 0) return errno;
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // the owner has one thread, which is the one that forked
    close_all_but(target_.vcpu_files);
    if (::getppid() == owner_) work(number, workspaces_[number], workspace_bytes_);
    ::_exit(0);
  }
  processes_[number] = child;
  return 0;
}

void CompressorCrew::work(unsigned number, void* workspace, std::size_t size) {
  ZSTD_CCtx* context = make_context(workspace, size, *target_.level);
  const std::span buffer(static_cast<std::byte*>(workspace) + size, kFrameBytes);
  base::Separation separation(target_.vcpus, base::Separation::From::kAwake);
  for (std::uint64_t batch = number; batch < batch_count(); batch += workers_) {
    CompressorSlot& slot = slot_of(batch);
    if (!wait_until_empty(slot)) return;
    slot.frame_count = 0;
    slot.size = 0;
    bool is_good = context != nullptr;
    const std::uint64_t end = std::min((batch + 1) * kBatchBytes, contents_.stored_bytes());
    for (std::uint64_t start = batch * kBatchBytes; is_good && start < end; start += kFrameBytes) {
      separation.look();
      const std::uint64_t wanted = std::min(kFrameBytes, end - start);
      is_good = add_frame(context, gather(contents_, start, wanted, buffer), slot);
    }
    set_and_wake(slot.state, is_good ? CompressorSlot::kFull : CompressorSlot::kFailed);
    if (!is_good) return;
  }
}

bool CompressorCrew::wait_until_empty(CompressorSlot& slot) {
  while (slot.state.load(std::memory_order_acquire) != CompressorSlot::kEmpty) {
    if (shared_->stop) return false;
    wait_while(slot.state, CompressorSlot::kFull);
  }
  return !shared_->stop;
}

CompressorSlot* CompressorCrew::wait_for(std::uint64_t batch, RamWriteWatch& watch, int& error) {
  CompressorSlot& slot = slot_of(batch);
  while (true) {
    const std::uint32_t state = slot.state.load(std::memory_order_acquire);
    if (state == CompressorSlot::kFull) return &slot;
    error = state == CompressorSlot::kFailed ? ENOMEM : !watch.goes_on() ? ECANCELED : 0;
    if (error != 0) return nullptr;
    wait_while(slot.state, CompressorSlot::kEmpty);
    // Looked at last: what the worker did before its end is taken on the next turn.
    const bool is_still_empty =
        is_worker_gone(static_cast<unsigned>(batch % workers_)) &&
        slot.state.load(std::memory_order_acquire) == CompressorSlot::kEmpty;
    error = is_still_empty ? ECHILD : 0;
    if (error != 0) return nullptr;
  }
}

bool CompressorCrew::is_worker_gone(unsigned number) {
  return target_.forks_workers && has_ended(processes_[number]);
}

void CompressorCrew::release(CompressorSlot& slot) {
  set_and_wake(slot.state, CompressorSlot::kEmpty);
}

CompressorCrew::~CompressorCrew() {
  if (shared_ != nullptr) shared_->stop = true;
  for (unsigned i = 0; i < workers_; ++i) {
    if (processes_[i] > 0) {
      ::kill(processes_[i], SIGKILL);
      reap(processes_[i]);
    }
    if (threads_[i].joinable()) threads_[i].join();
    if (workspaces_[i] != nullptr) ::munmap(workspaces_[i], workspace_bytes_ + kFrameBytes);
  }
  if (shared_ != nullptr) ::munmap(shared_, sizeof(Shared));
}

}  // namespace stasis::snapshot
