#include "tests/fuzz/fuzz_kernel_image.h"

#include <cstddef>

#include "base/check.h"
#include "base/mapping.h"
#include "tests/unit/vmm/boot_synthetic_kernel.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/loader.h"

namespace stasis::fuzz {
namespace {

using vmm::testing::Bytes;

constexpr std::size_t kRamSize = 24 << 20;  // untouched pages cost nothing

Bytes whole_kernel(unsigned kind) {
  switch (kind) {
    case 0:
      return vmm::testing::make_bzimage();
    case 1:
      return vmm::testing::make_elf(vmm::testing::good_elf());
    case 2:
      return vmm::testing::make_pvh_elf();
    default:
      return vmm::testing::make_elf_32(true);
  }
}

Bytes make_file(std::span<const std::uint8_t> bytes) {
  if (bytes.empty()) return {};
  const unsigned kind = bytes.front() % 5;
  auto rest = bytes.subspan(1);
  const auto raw = std::as_bytes(rest);
  if (kind == 4) return Bytes(raw.begin(), raw.end());
  Bytes file = whole_kernel(kind);
  for (; rest.size() >= 3; rest = rest.subspan(3)) {
    const std::size_t offset = rest[0] | rest[1] << 8;
    file[offset % file.size()] = std::byte{rest[2]};
  }
  return file;
}

}  // namespace

void fuzz_kernel_image(std::span<const std::uint8_t> bytes) {
  const Bytes file = make_file(bytes);
  const vmm::MemorySource source(file);
  const auto image = vmm::identify(source);
  if (image) STASIS_CHECK(!vmm::describe(*image).empty());
  const auto ram = base::Mapping::anonymous(kRamSize);
  STASIS_CHECK(ram);
  const base::GuestMemory memory({{{0}, ram->bytes()}});
  const auto plan = vmm::load(memory, {source, &source, "console=ttyS0"});
  if (!plan) return;
  STASIS_CHECK(image);
  STASIS_CHECK(plan->registers.rip >= plan->kernel.start);
  STASIS_CHECK(plan->registers.rip < plan->kernel.end);
  STASIS_CHECK(plan->kernel.end <= plan->initrd.start && plan->initrd.end <= kRamSize);
}

}  // namespace stasis::fuzz
