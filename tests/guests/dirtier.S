/* Writes 2 MiB over and over, as fast as it can, each time with the next number, and reads them back
   before it goes on: a saved memory that mixes two moments, or misses a page, shows as "torn". */
#include "guest.h"
#define START 0x1000000
#define WORDS 0x80000
.text
.code32
.globl main
main:
  cld
1:
  movl pass, %eax
  movl $START, %edi
  movl $WORDS, %ecx
  rep stosl
  movl $START, %edi
  movl $WORDS, %ecx
  repe scasl
  jne 2f
  movl pass, %eax
  call put_decimal
  movb $' ', %al
  call put_char
  movb $'.', %al
  call put_char
  call new_line
  incl pass
  jmp 1b
2:
  movl $torn, %esi
  call put_string
  call new_line
  ret

.data
pass: .long 1
torn: .asciz "torn"
