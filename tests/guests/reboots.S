/* Resets the machine twice and powers it off then. Tells each time what is left of the time before:
   a count in the CMOS RAM, the clock's year, which it sets in its first life, and the generation
   ID. */
#include "guest.h"
#define CMOS_INDEX 0x70
#define CMOS_DATA 0x71
#define YEAR 0x09
#define COUNT 0x40
#define VM_GEN_ID 0xFF000
.text
.code32
.globl main
main:
  say "life "
  movb $COUNT, %al
  call read_cmos
  movl %eax, %ebx
  call put_decimal
  say " year "
  movb $YEAR, %al
  call read_cmos
  call put_hex8
  say " generation "
  movl VM_GEN_ID, %eax
  call put_hex32
  movl VM_GEN_ID + 12, %eax
  call put_hex32
  call new_line
  movb $YEAR, %al
  outb %al, $CMOS_INDEX
  movb $0x77, %al
  outb %al, $CMOS_DATA
  movb $COUNT, %al
  outb %al, $CMOS_INDEX
  leal 1(%ebx), %eax
  outb %al, $CMOS_DATA
  cmpl $2, %ebx
  je 1f
  movb $I8042_RESET, %al
  outb %al, $I8042_COMMAND
2:
  hlt
  jmp 2b
1:
  ret

/* The register %al, into %eax. */
read_cmos:
  outb %al, $CMOS_INDEX
  inb $CMOS_DATA, %al
  movzbl %al, %eax
  ret
