/* An ELF64 image without a PVH note: entered in 64-bit mode by the Linux boot protocol
   (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol": %rsi = boot_params, paging on).
   Prints a line, then the command line that boot_params points to, and powers off. */
#include "guest.h"
#define BOOT_PARAMS_CMDLINE 0x228 /* hdr.cmd_line_ptr */
#define BOOT_PARAMS_MAGIC 0x202   /* hdr.header, "HdrS" */

.text
.code64
.globl pvh_entry
pvh_entry:
  cld
  movq %rsi, %rbx
  movl $text, %esi
  call put_string
  cmpl $0x53726448, BOOT_PARAMS_MAGIC(%rbx)
  jne 1f
  movl BOOT_PARAMS_CMDLINE(%rbx), %esi
  call put_string
1:
  movl $end_text, %esi
  call put_string
  movl $SLEEP_CONTROL, %edx
  movb $SLEEP_S5, %al
  outb %al, %dx
1:
  hlt
  jmp 1b

put_string:
  movl $COM1, %edx
1:
  lodsb
  testb %al, %al
  jz 2f
  outb %al, %dx
  jmp 1b
2:
  ret

.section .rodata
text: .asciz "hello from 64-bit mode\ncmdline: "
end_text: .asciz "\n"
