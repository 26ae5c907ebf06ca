/* Takes a nonce from the time stamp counter, keeps it in memory only, and counts to 40 there: each
   line is the count and the nonce. For saving in the middle: a guest that booted again would have
   another nonce. */
#include "guest.h"
#ifndef DELAY
#define DELAY 10000
#define LAST 40
#endif
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
  movl $DELAY, %ecx
2:
  pause
  decl %ecx
  jnz 2b
  incl count
#ifdef FOREVER
  jmp 1b
#else
  cmpl $LAST, count
  jbe 1b
  ret
#endif

.data
nonce: .long 0
count: .long 1
