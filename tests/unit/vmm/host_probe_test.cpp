#include "vmm/host_probe.h"

#include <catch2/catch.hpp>

namespace stasis::vmm {
namespace {

TEST_CASE("the kind of KVM follows from whole words of the processor's flags") {
  CHECK(kind_of_cpu_flags("processor\t: 0\nflags\t\t: fpu vmx sse\n") == KvmKind::kVmx);
  CHECK(kind_of_cpu_flags("processor\t: 0\nflags\t\t: fpu svm\n") == KvmKind::kSvm);
  CHECK(kind_of_cpu_flags("processor\t: 0\nflags\t\t: fpu sse\nvmx flags\t: x\n") ==
        KvmKind::kEmulating);
  CHECK(kind_of_cpu_flags("processor\t: 0\nflags\t\t: fpu svm_lock avmx\n") == KvmKind::kEmulating);
  CHECK(kind_of_cpu_flags("") == KvmKind::kEmulating);
}

TEST_CASE("a folder that is not there is judged by the one above it") {
  const HostFacts facts = probe_host("/proc/no/such/folder");
  CHECK(facts.storage.root == "/proc/no/such/folder");
  CHECK(facts.storage.existing == "/proc");
  CHECK(facts.memory_bytes == host_memory_bytes());
  CHECK(facts.available_bytes <= facts.memory_bytes);
}

}  // namespace
}  // namespace stasis::vmm
