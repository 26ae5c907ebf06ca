#pragma once

#include <linux/kvm.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace stasis::vmm {

/// The front of kvm_cpuid2, kvm_msrs and kvm_irq_routing: how many entries follow.
///
/// The kernel's own declarations end in a flexible array, which <linux/stddef.h> declares for C++
/// in a way that makes the structures four bytes longer than in C: sizes, and with them the numbers
/// of the requests, come out wrong. So both are spelt out here, from the same header's numbers.
struct KvmListHeader {
  std::uint32_t count;
  std::uint32_t padding;
};

inline constexpr unsigned long kKvmGetMsrIndexList = _IOWR(KVMIO, 0x02, std::uint32_t);
inline constexpr unsigned long kKvmGetSupportedCpuid = _IOWR(KVMIO, 0x05, KvmListHeader);
inline constexpr unsigned long kKvmSetGsiRouting = _IOW(KVMIO, 0x6a, KvmListHeader);
inline constexpr unsigned long kKvmGetMsrs = _IOWR(KVMIO, 0x88, KvmListHeader);
inline constexpr unsigned long kKvmSetMsrs = _IOW(KVMIO, 0x89, KvmListHeader);
inline constexpr unsigned long kKvmSetCpuid2 = _IOW(KVMIO, 0x90, KvmListHeader);

/// kvm_xsave without what may follow: the same trap.
struct KvmXsaveArea {
  std::uint32_t region[1024];
};

inline constexpr unsigned long kKvmGetXsave = _IOR(KVMIO, 0xa4, KvmXsaveArea);
inline constexpr unsigned long kKvmSetXsave = _IOW(KVMIO, 0xa5, KvmXsaveArea);
inline constexpr unsigned long kKvmGetXsave2 = _IOR(KVMIO, 0xcf, KvmXsaveArea);

/// A header and its entries, as those requests take them.
template <typename Entry>
class KvmList {
 public:
  explicit KvmList(std::size_t count)
      : bytes_(sizeof(KvmListHeader) + count * sizeof(Entry)), capacity_(count) {
    const KvmListHeader header{static_cast<std::uint32_t>(count), 0};
    std::memcpy(bytes_.data(), &header, sizeof header);
  }
  explicit KvmList(std::span<const Entry> entries) : KvmList(entries.size()) {
    std::memcpy(bytes_.data() + sizeof(KvmListHeader), entries.data(), entries.size_bytes());
  }

  void* data() { return bytes_.data(); }

  /// As many as the header says by now.
  std::vector<Entry> entries() const {
    KvmListHeader header;
    std::memcpy(&header, bytes_.data(), sizeof header);
    std::vector<Entry> entries(std::min<std::size_t>(header.count, capacity_));
    std::memcpy(entries.data(), bytes_.data() + sizeof header, entries.size() * sizeof(Entry));
    return entries;
  }

 private:
  std::vector<std::byte> bytes_;
  std::size_t capacity_;
};

}  // namespace stasis::vmm
