/* Takes a fault without any handler, twice over: the processor shuts down. */
#include "guest.h"
.text
.code32
.globl main
main:
  say "about to triple fault\n"
  lidt no_gates
  ud2

.section .rodata
no_gates:
  .word 0
  .long 0
