/* Prints a line and halts with interrupts off: an idle machine, for measuring the VMM alone. */
#include "guest.h"
.text
.code32
.globl main
main:
  say "halted\n"
1:
  cli
  hlt
  jmp 1b
