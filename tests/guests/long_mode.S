/* Switches to 64-bit mode by itself, uses a 64-bit register and address there, and comes back. */
#include "guest.h"
.text
.code32
.globl main
main:
  movl $in_64_bits, %ebx
  call in_long_mode
  cmpl $0x89ABCDEF, result
  jne 1f
  cmpl $0x01234567, result + 4
  jne 1f
  say "long mode and back\n"
  ret
1:
  say "long mode: wrong value\n"
  ret

.code64
in_64_bits:
  movabsq $0x0123456700000000, %rax
  movl $0x89ABCDEF, %r9d
  orq %r9, %rax
  movq %rax, result(%rip)
  ret

.bss
.balign 8
result: .skip 8
