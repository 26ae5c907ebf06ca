// The guest of bench/snapshot for disks: keeps a few requests in flight on every virtio-blk disk it
// finds and tells how long the slowest took, by its own time stamp counter. 32-bit code without
// library, behind the runtime. A disk needs 64 MiB; three of four requests write 4 KiB, the fourth
// reads, at random places.
// Takes commands from COM1, one byte each: c clears the meter; r reports, in ticks of the counter.
#include <stdint.h>

namespace {

constexpr unsigned kMaxDisks = 8;
constexpr unsigned kDepth = 2;            // requests in flight on each disk
constexpr unsigned kQueueSize = 8;        // descriptors; a request takes three
constexpr unsigned kBlocks = 64 * 256;    // of 4 KiB
constexpr uint32_t kPollTicks = 1 << 21;  // between looks at COM1
constexpr uint16_t kCom1 = 0x3F8;

// --- Ports, counter, text ------------------------------------------------------------------------

void out8(uint16_t port, uint8_t value) {
  asm volatile("outb %0, %1" ::"a"(value), "Nd"(port));
}
void out32(uint16_t port, uint32_t value) {
  asm volatile("outl %0, %1" ::"a"(value), "Nd"(port));
}

uint8_t in8(uint16_t port) {
  uint8_t value;
  asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

uint32_t in32(uint16_t port) {
  uint32_t value;
  asm volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
  return value;
}

uint64_t ticks() {
  uint64_t value;
  asm volatile("rdtsc" : "=A"(value));
  return value;
}

void put(char letter) {
  while ((in8(kCom1 + 5) & 0x20) == 0) {
  }
  out8(kCom1, static_cast<uint8_t>(letter));
}

void put(const char* text) {
  while (*text != 0) put(*text++);
}

void put_hex(uint64_t value) {
  for (int shift = 60; shift >= 0; shift -= 4) put("0123456789abcdef"[(value >> shift) & 15]);
}

void put_field(const char* name, uint64_t value) {
  put(name);
  put_hex(value);
}

// --- Virtio over PCI (virtio 1.2, sections 2.7, 4.1 and 5.2) -------------------------------------

struct Descriptor {
  uint64_t address;
  uint32_t length;
  uint16_t flags;  // 1: next, 2: device writes
  uint16_t next;
};

struct Available {
  uint16_t flags;
  volatile uint16_t index;
  uint16_t ring[kQueueSize];
};

struct Used {
  uint16_t flags;
  volatile uint16_t index;
  struct {
    uint32_t id;
    uint32_t length;
  } ring[kQueueSize];
};

struct RequestHeader {
  uint32_t type;  // 0: read, 1: write
  uint32_t reserved;
  uint64_t sector;
};

struct Disk {
  alignas(16) Descriptor descriptors[kQueueSize];
  alignas(4) Available available;
  alignas(4) Used used;
  RequestHeader headers[kDepth];
  volatile uint8_t status[kDepth];
  uint64_t submitted[kDepth];
  volatile uint16_t* doorbell;
  uint16_t seen;
};

alignas(4096) uint8_t g_data[kMaxDisks][kDepth][4096];
Disk g_disks[kMaxDisks];
unsigned g_disk_count;

struct Meter {
  uint64_t cleared, longest, requests, errors;
};
Meter g_meter;

void barrier() {
  asm volatile("" ::: "memory");
}

template <typename T>
uint64_t address_of(T* place) {
  return reinterpret_cast<uintptr_t>(place);
}

uint32_t read_config(unsigned device, unsigned offset) {
  out32(0xCF8, 0x80000000u | device << 11 | (offset & 0xFC));
  return in32(0xCFC) >> (offset & 3) * 8;
}

void write_config(unsigned device, unsigned offset, uint32_t value) {
  out32(0xCF8, 0x80000000u | device << 11 | (offset & 0xFC));
  out32(0xCFC, value);
}

/// Registers of the common structure, by their offsets there.
template <typename T>
volatile T& at(uintptr_t structure, unsigned offset) {
  return *reinterpret_cast<volatile T*>(structure + offset);
}

struct Places {
  uintptr_t common = 0, notify = 0;
  uint32_t notify_multiplier = 0;
};

Places find_structures(unsigned device) {
  Places places;
  for (unsigned cap = read_config(device, 0x34) & 0xFF; cap != 0;
       cap = read_config(device, cap + 1) & 0xFF) {
    if ((read_config(device, cap) & 0xFF) != 9) continue;  // vendor specific
    const unsigned type = read_config(device, cap + 3) & 0xFF;
    const unsigned bar = read_config(device, cap + 4) & 0xFF;
    if (type != 1 && type != 2) continue;
    const uintptr_t place =
        (read_config(device, 0x10 + 4 * bar) & ~15u) + read_config(device, cap + 8);
    (type == 1 ? places.common : places.notify) = place;
    if (type == 2) places.notify_multiplier = read_config(device, cap + 16);
  }
  return places;
}

void set_up(unsigned device, Disk& disk) {
  write_config(device, 4, 6);  // memory, bus master
  const Places places = find_structures(device);
  const uintptr_t common = places.common;
  auto& status = at<uint8_t>(common, 0x14);
  status = 0;
  status = 3;                   // acknowledged, driver
  at<uint32_t>(common, 8) = 1;  // features 32 to 63: VERSION_1 alone
  at<uint32_t>(common, 12) = 1;
  at<uint32_t>(common, 8) = 0;
  at<uint32_t>(common, 12) = 1u << 9;  // FLUSH: else each write is durable before it is answered
  status = 11;  // features are chosen
  at<uint16_t>(common, 0x16) = 0;
  at<uint16_t>(common, 0x18) = kQueueSize;
  const uint64_t parts[] = {address_of(disk.descriptors), address_of(&disk.available),
                            address_of(&disk.used)};
  for (unsigned i = 0; i < 3; ++i) {
    at<uint32_t>(common, 0x20 + 8 * i) = static_cast<uint32_t>(parts[i]);
    at<uint32_t>(common, 0x24 + 8 * i) = 0;
  }
  disk.doorbell =
      &at<uint16_t>(places.notify, at<uint16_t>(common, 0x1E) * places.notify_multiplier);
  disk.available.flags = 1;  // no interrupts
  at<uint16_t>(common, 0x1C) = 1;
  status = 15;
}

uint32_t next_random() {
  static uint32_t state = 1;
  state = state * 1664525 + 1013904223;  // Numerical Recipes
  return state >> 8;
}

void submit(unsigned disk_number, unsigned slot) {
  Disk& disk = g_disks[disk_number];
  const uint32_t random = next_random();
  const bool reads = (random & 3) == 0;
  disk.headers[slot] = {reads ? 0u : 1u, 0, uint64_t{(random >> 2) % kBlocks} * 8};
  const auto first = static_cast<uint16_t>(slot * 3);
  disk.descriptors[first] = {address_of(&disk.headers[slot]), sizeof(RequestHeader), 1,
                             static_cast<uint16_t>(first + 1)};
  disk.descriptors[first + 1] = {address_of(g_data[disk_number][slot]), 4096,
                                 static_cast<uint16_t>(reads ? 3 : 1),
                                 static_cast<uint16_t>(first + 2)};
  disk.descriptors[first + 2] = {address_of(&disk.status[slot]), 1, 2, 0};
  disk.status[slot] = 0xFF;
  const uint16_t index = disk.available.index;
  disk.available.ring[index % kQueueSize] = first;
  disk.submitted[slot] = ticks();
  barrier();
  disk.available.index = static_cast<uint16_t>(index + 1);
  barrier();
  *disk.doorbell = 0;
}

void collect(unsigned disk_number) {
  Disk& disk = g_disks[disk_number];
  // One look: a device that answers while we ask again would keep us from the other disks.
  const uint16_t answered = disk.used.index;
  barrier();
  while (disk.seen != answered) {
    const unsigned slot = disk.used.ring[disk.seen++ % kQueueSize].id / 3;
    const uint64_t took = ticks() - disk.submitted[slot];
    if (took > g_meter.longest) g_meter.longest = took;
    ++g_meter.requests;
    if (disk.status[slot] != 0) ++g_meter.errors;
    submit(disk_number, slot);
  }
}

/// What is in flight counts from now on: the time to answer commands is not the disk's.
void clear() {
  const uint64_t now = ticks();
  g_meter = {now, 0, 0, 0};
  for (Disk& disk : g_disks) {
    for (uint64_t& submitted : disk.submitted) submitted = now;
  }
}

void obey(uint8_t command) {
  if (command == 'c') {
    put("cleared\n");
    clear();
  } else if (command == 'r') {
    put_field("requests ", g_meter.requests);
    put_field(" errors ", g_meter.errors);
    put_field(" longest ", g_meter.longest);
    put_field(" elapsed ", ticks() - g_meter.cleared);
    put("\n");
  }
}

}  // namespace

extern "C" void guest_main() {
  for (unsigned device = 1; device < 32 && g_disk_count < kMaxDisks; ++device) {
    if (read_config(device, 0) == 0x10421AF4) set_up(device, g_disks[g_disk_count++]);
  }
  for (unsigned disk = 0; disk < g_disk_count; ++disk) {
    for (unsigned slot = 0; slot < kDepth; ++slot) submit(disk, slot);
  }
  put_field("disks ", g_disk_count);
  put("\nready\n");
  for (auto polled = static_cast<uint32_t>(ticks());;) {
    for (unsigned disk = 0; disk < g_disk_count; ++disk) collect(disk);
    if (static_cast<uint32_t>(ticks()) - polled < kPollTicks) continue;
    polled = static_cast<uint32_t>(ticks());
    if ((in8(kCom1 + 5) & 1) != 0) obey(in8(kCom1));
  }
}

// The runtime's name for it.
asm(".globl main\nmain: jmp guest_main");
