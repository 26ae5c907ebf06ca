/* Walks the PVH memory map and, in the first and last 8 bytes of every RAM range, writes a pattern
   that depends on the address; reads all of them back only then, so that two ranges that were the
   same memory are seen. Prints each range and the sum of RAM in MiB. */
#include "guest.h"
.text
.code32
.globl main
main:
  movl $patterns_in_64_bits, %ebx
  call in_long_mode
  movl start_info, %ebp
  movl START_MEMMAP_ENTRIES(%ebp), %edi
  movl START_MEMMAP(%ebp), %ebp
  xorl %ebx, %ebx
1:
  call print_range
  addl $MEMMAP_ENTRY_SIZE, %ebp
  decl %edi
  jnz 1b
  say "RAM in KiB: "
  movl %ebx, %eax
  call put_decimal
  say "\nwrong words: "
  movl wrong, %eax
  call put_decimal
  call new_line
  ret

/* %ebp: the entry. Adds the KiB of RAM to %ebx. */
print_range:
  say "range "
  movl 4(%ebp), %eax
  call put_hex32
  movl (%ebp), %eax
  call put_hex32
  say " size "
  movl 12(%ebp), %eax
  call put_hex32
  movl 8(%ebp), %eax
  call put_hex32
  say " type "
  movl 16(%ebp), %eax
  call put_decimal
  call new_line
  cmpl $E820_RAM, 16(%ebp)
  jne 1f
  movl 8(%ebp), %eax
  movl 12(%ebp), %edx
  shrdl $10, %edx, %eax
  addl %eax, %ebx
1:
  ret

.code64
patterns_in_64_bits:
  leaq write_pattern(%rip), %r10
  call for_each_edge
  leaq check_pattern(%rip), %r10
  jmp for_each_edge

/* Calls %r10 with %rdi = the address of each edge word of RAM, but page 0 and this image. */
for_each_edge:
  movl start_info(%rip), %eax
  movl START_MEMMAP_ENTRIES(%rax), %r8d
  movl START_MEMMAP(%rax), %r9d
1:
  cmpl $E820_RAM, 16(%r9)
  jne 3f
  movq (%r9), %rdi
  cmpq $0x1000, %rdi              /* start information and tables live low; the image at 1 MiB */
  jb 2f
  cmpq $0x100000, %rdi
  je 2f
  call *%r10
2:
  movq (%r9), %rdi
  addq 8(%r9), %rdi
  subq $8, %rdi
  call *%r10
3:
  addq $MEMMAP_ENTRY_SIZE, %r9
  decl %r8d
  jnz 1b
  ret

write_pattern:
  call pattern_of
  movq %rax, (%rdi)
  ret

check_pattern:
  call pattern_of
  cmpq %rax, (%rdi)
  je 1f
  incl wrong(%rip)
1:
  ret

pattern_of:
  movabsq $0x5A5AA5A5C3C33C3C, %rax
  xorq %rdi, %rax
  ret

.bss
.balign 4
wrong: .skip 4
