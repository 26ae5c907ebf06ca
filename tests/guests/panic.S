/* Tells the host of a guest panic (QEMU docs/specs/pvpanic: bit 0). */
#include "guest.h"
.text
.code32
.globl main
main:
  say "about to panic\n"
  movl $PVPANIC, %edx
  movb $1, %al
  outb %al, %dx
1:
  hlt
  jmp 1b
