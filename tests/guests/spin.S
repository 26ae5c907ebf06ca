/* Prints a line and spins for ever: for pausing and stopping a busy processor. */
#include "guest.h"
.text
.code32
.globl main
main:
  say "spinning\n"
1:
  jmp 1b
