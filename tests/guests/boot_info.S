/* Prints what PVH's start information hands over: the command line, and of the first module (the
   initrd) its size and first 16 bytes. */
#include "guest.h"
.text
.code32
.globl main
main:
  movl start_info, %ebp
  say "magic: "
  movl (%ebp), %eax
  call put_hex32
  say "\ncmdline: "
  movl START_CMDLINE(%ebp), %esi
  testl %esi, %esi
  jz 1f
  call put_string
1:
  say "\nmodules: "
  movl START_MODULES_COUNT(%ebp), %eax
  call put_decimal
  call new_line
  cmpl $0, START_MODULES_COUNT(%ebp)
  je 2f
  movl START_MODULES(%ebp), %ebx  /* struct hvm_modlist_entry: address, size, command line */
  say "module size: "
  movl 8(%ebx), %eax
  call put_decimal
  say "\nmodule text: "
  movl (%ebx), %ebx
  movl $16, %edi
1:
  movb (%ebx), %al
  call put_char
  incl %ebx
  decl %edi
  jnz 1b
  call new_line
2:
  ret
