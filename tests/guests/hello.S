/* Prints one line and powers off: the shortest way through a machine's life, and the guest of
   bench/boot. It does not use the runtime, so that its own work is next to nothing. */
#include "guest.h"

.section .note.pvh, "a", @note
  .long 4, 9f - 8f, PVH_NOTE_NUMBER
  .asciz "Xen"
8: .quad pvh_entry
9:

.text
.code32
.globl pvh_entry
pvh_entry:
  movl $text, %esi
  movl $COM1, %edx
  movl $text_end - text, %ecx
1:
  movb (%esi), %al
  outb %al, %dx
  incl %esi
  decl %ecx
  jnz 1b
  movl $SLEEP_CONTROL, %edx
  movb $SLEEP_S5, %al
  outb %al, %dx
1:
  hlt
  jmp 1b

.section .rodata
text: .ascii "hello from the guest\n"
text_end:
