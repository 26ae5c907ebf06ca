// The least that any VMM on KVM has to do until its guest's first output: the ioctls alone, for a
// machine with in-kernel interrupt controllers and 256 MiB, which is what bench/boot measures as the
// floor. Arguments: a file, of which its memory is a private mapping then, as after a restore; and its
// memory in MiB, which costs the kernel time where it shadows page tables.
// In C: it stands for the kernel's work, not for a language's run time.
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { kEntry = 0x1000, kCom1 = 0x3F8, kCpuidEntries = 256 };
static const uint64_t kLowEnd = 3ULL << 30, kHighStart = 4ULL << 30;

// mov $0x3f8, %dx; mov $'h', %al; out %al, (%dx); hlt
static const unsigned char kGuest[] = {0xBA, 0xF8, 0x03, 0xB0, 'h', 0xEE, 0xF4};

static int check(int result, const char* what) {
  if (result >= 0) return result;
  perror(what);
  exit(1);
}

static int create_vm(int kvm, char* memory, uint64_t size) {
  const int vm = check(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
  const uint64_t low = size < kLowEnd ? size : kLowEnd;
  struct kvm_userspace_memory_region slots[] = {
      {.slot = 0, .memory_size = low, .userspace_addr = (uintptr_t)memory},
      {.slot = 1,
       .guest_phys_addr = kHighStart,
       .memory_size = size - low,
       .userspace_addr = (uintptr_t)memory + low}};
  for (int i = 0; i < 2 && slots[i].memory_size != 0; ++i) {
    check(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slots[i]), "KVM_SET_USER_MEMORY_REGION");
  }
  check(ioctl(vm, KVM_SET_TSS_ADDR, 0xFEFFD000), "KVM_SET_TSS_ADDR");
  check(ioctl(vm, KVM_CREATE_IRQCHIP, 0), "KVM_CREATE_IRQCHIP");
  struct kvm_pit_config pit = {0};
  check(ioctl(vm, KVM_CREATE_PIT2, &pit), "KVM_CREATE_PIT2");
  return vm;
}

static int create_vcpu(int kvm, int vm) {
  const int vcpu = check(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
  struct kvm_cpuid2* cpuid =
      calloc(1, sizeof(*cpuid) + kCpuidEntries * sizeof(struct kvm_cpuid_entry2));
  if (cpuid == NULL) exit(1);
  cpuid->nent = kCpuidEntries;
  check(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "KVM_GET_SUPPORTED_CPUID");
  check(ioctl(vcpu, KVM_SET_CPUID2, cpuid), "KVM_SET_CPUID2");
  free(cpuid);
  struct kvm_sregs sregs;
  check(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
  sregs.cs.base = 0;
  sregs.cs.selector = 0;
  check(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
  struct kvm_regs regs = {.rip = kEntry, .rflags = 2};
  check(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
  return vcpu;
}

int main(int argc, char** argv) {
  const int image = argc > 1 ? check(open(argv[1], O_RDONLY | O_CLOEXEC), argv[1]) : -1;
  const int flags = MAP_PRIVATE | MAP_NORESERVE | (image < 0 ? MAP_ANONYMOUS : 0);
  const uint64_t size = (argc > 2 ? strtoull(argv[2], NULL, 10) : 256) << 20;
  char* memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, image, 0);
  if (memory == MAP_FAILED) return 1;
  memcpy(memory + kEntry, kGuest, sizeof kGuest);
  const int kvm = check(open("/dev/kvm", O_RDWR | O_CLOEXEC), "/dev/kvm");
  const int vm = create_vm(kvm, memory, size);
  const int vcpu = create_vcpu(kvm, vm);
  const int run_size = check(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
  char* mapped = mmap(NULL, (size_t)run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
  if (mapped == MAP_FAILED) return 1;
  const struct kvm_run* run = (const struct kvm_run*)mapped;
  check(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
  if (run->exit_reason != KVM_EXIT_IO || run->io.port != kCom1) return 1;
  return write(STDOUT_FILENO, mapped + run->io.data_offset, 1) == 1 ? 0 : 1;
}
