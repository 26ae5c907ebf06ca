/* Resets the machine through the keyboard controller, as Linux does on "reboot=k". */
#include "guest.h"
.text
.code32
.globl main
main:
  say "about to reset\n"
  movb $I8042_RESET, %al
  outb %al, $I8042_COMMAND
1:
  hlt
  jmp 1b
