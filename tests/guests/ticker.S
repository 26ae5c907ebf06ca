/* Takes a nonce from the time stamp counter, keeps it in memory only, and counts there for ever: each
   line is the count and the nonce. For saving in the middle: a guest that booted again would have
   another nonce and a small count. */
#include "guest.h"
.text
.code32
.globl main
main:
  rdtsc
  movl %eax, nonce
1:
  movl count, %eax
  call put_decimal
  movb $' ', %al
  call put_char
  movl nonce, %eax
  call put_hex32
  call new_line
  movl $3000, %ecx
2:
  pause
  decl %ecx
  jnz 2b
  incl count
  jmp 1b

.data
nonce: .long 0
count: .long 1
