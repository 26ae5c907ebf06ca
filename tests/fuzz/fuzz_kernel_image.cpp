#include "tests/fuzz/fuzz_kernel_image.h"

#include <cstddef>
#include <vector>

#include "base/check.h"
#include "vmm/boot/kernel_image.h"
#include "vmm/boot/loader.h"

namespace stasis::fuzz {

void fuzz_kernel_image(std::span<const std::uint8_t> bytes) {
  constexpr std::size_t kRamSize = 4 << 20;
  const vmm::MemorySource source(std::as_bytes(bytes));
  const auto image = vmm::identify(source);
  if (image) STASIS_CHECK(!vmm::describe(*image).empty());
  std::vector<std::byte> ram(kRamSize);
  const base::GuestMemory memory({{{0}, ram}});
  const auto plan = vmm::load(memory, {source, &source, "console=ttyS0"});
  if (!plan) return;
  STASIS_CHECK(image);
  STASIS_CHECK(plan->registers.rip < kRamSize);
  STASIS_CHECK(plan->kernel.end <= plan->initrd.start && plan->initrd.end <= kRamSize);
}

}  // namespace stasis::fuzz
