/* Start-up and output for guests that run in 32-bit protected mode without paging. PVH enters at
   `pvh_entry` (Xen docs/misc/pvh.pandoc: 32-bit flat, %ebx = hvm_start_info); the guest's `main`
   follows and, when it returns, the machine is powered off. */
#include "guest.h"

.section .note.pvh, "a", @note
  .long 4, 9f - 8f, PVH_NOTE_NUMBER
  .asciz "Xen"
8:
#ifdef __x86_64__
  .quad pvh_entry
#else
  .long pvh_entry
#endif
9:

.text
.code32
.globl pvh_entry, put_char, put_string, put_hex32, put_hex8, put_decimal, new_line, power_off
.globl descriptor_table, descriptor_table_pointer, start_info, in_long_mode

pvh_entry:
  cld
  movl $stack_top, %esp
  movl %ebx, start_info
  lgdt descriptor_table_pointer
  ljmp $CODE32, $1f
1:
  movl $DATA32, %eax
  movl %eax, %ds
  movl %eax, %es
  movl %eax, %ss
  call main

power_off:
  movl $SLEEP_CONTROL, %edx
  movb $SLEEP_S5, %al
  outb %al, %dx
1:
  cli
  hlt
  jmp 1b

/* %al: the byte. Waits for room. Changes %edx. */
put_char:
  pushl %eax
  movl $COM1_LSR, %edx
1:
  inb %dx, %al
  testb $0x20, %al
  jz 1b
  popl %eax
  movl $COM1, %edx
  outb %al, %dx
  ret

/* %esi: zero-terminated text. Changes %eax, %edx, %esi. */
put_string:
  lodsb
  testb %al, %al
  jz 1f
  call put_char
  jmp put_string
1:
  ret

new_line:
  movb $'\n', %al
  jmp put_char

/* %eax: printed as eight hexadecimal digits. Changes %eax, %ecx, %edx. */
put_hex32:
  movl $8, %ecx
put_hex_digits:
1:
  roll $4, %eax
  pushl %eax
  andl $15, %eax
  movb digits(%eax), %al
  call put_char
  popl %eax
  decl %ecx
  jnz 1b
  ret

/* %al: printed as two hexadecimal digits. Changes %eax, %ecx, %edx. */
put_hex8:
  shll $24, %eax
  movl $2, %ecx
  jmp put_hex_digits

/* %eax: printed in decimal. Changes %eax, %ecx, %edx. */
put_decimal:
  pushl %ebx
  xorl %ecx, %ecx
  movl $10, %ebx
1:
  xorl %edx, %edx
  divl %ebx
  pushl %edx
  incl %ecx
  testl %eax, %eax
  jnz 1b
2:
  popl %eax
  addb $'0', %al
  call put_char
  decl %ecx
  jnz 2b
  popl %ebx
  ret

#ifdef __x86_64__
/* Calls the 64-bit code at %ebx in long mode, with 8 GiB mapped one to one by 2 MiB pages, and
   returns in 32-bit mode. Changes every register. */
in_long_mode:
  movl $page_directories, %edi    /* entry i of the eight directories: page i, present, writable */
  xorl %ecx, %ecx
  xorl %edx, %edx
  movl $0x83, %eax
1:
  movl %eax, (%edi)
  movl %edx, 4(%edi)
  addl $8, %edi
  addl $0x200000, %eax
  adcl $0, %edx
  incl %ecx
  cmpl $8 * 512, %ecx
  jne 1b
  movl $page_directories + 3, %eax
  movl $page_pointers, %edi
  movl $8, %ecx
1:
  movl %eax, (%edi)
  addl $0x1000, %eax
  addl $8, %edi
  decl %ecx
  jnz 1b
  movl $page_pointers + 3, page_root

  movl %cr4, %eax
  orl $0x20, %eax                 /* PAE */
  movl %eax, %cr4
  movl $page_root, %eax
  movl %eax, %cr3
  movl $0xC0000080, %ecx          /* EFER.LME */
  rdmsr
  orl $0x100, %eax
  wrmsr
  movl %cr0, %eax
  orl $0x80000000, %eax
  movl %eax, %cr0
  ljmp $CODE64, $1f
.code64
1:
  call *%rbx
  pushq $CODE32
  pushq $1f
  lretq
.code32
1:
  movl %cr0, %eax
  andl $0x7FFFFFFF, %eax
  movl %eax, %cr0
  movl $0xC0000080, %ecx
  rdmsr
  andl $~0x100, %eax
  wrmsr
  ret

#endif

.section .rodata
digits: .ascii "0123456789abcdef"

.data
.balign 8
descriptor_table:
  .quad 0
  .quad 0x00CF9B000000FFFF        /* CODE32 */
  .quad 0x00CF93000000FFFF        /* DATA32 */
  .quad 0x00AF9B000000FFFF        /* CODE64 */
  .quad 0x00009B000000FFFF        /* CODE16 */
  .quad 0x000093000000FFFF        /* DATA16 */
descriptor_table_pointer:
  .word . - descriptor_table - 1
  .long descriptor_table
start_info: .long 0

.bss
.balign 16
stack: .skip 4096
stack_top:
.balign 4096
page_root: .skip 4096
page_pointers: .skip 4096
page_directories: .skip 8 * 4096
