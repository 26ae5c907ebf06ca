/* Writes into every page from 2 MiB to 496 MiB, then spins: for captures that take their time. */
#include "guest.h"
.text
.code32
.globl main
main:
  movl $0x200000, %eax
1:
  movl %eax, (%eax)
  addl $4096, %eax
  cmpl $0x1F000000, %eax
  jb 1b
  say "filled\n"
1:
  jmp 1b
