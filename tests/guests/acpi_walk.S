/* Follows the ACPI tables from the RSDP that PVH hands over (ACPI 6.5, section 5.2) and prints each
   signature with the verdict on its checksum. The DSDT is reached through the FADT. */
#include "guest.h"
.text
.code32
.globl main
main:
  movl start_info, %ebp
  movl START_RSDP(%ebp), %ebp
  cmpl $0x20445352, (%ebp)        /* "RSD PTR " */
  jne no_rsdp
  cmpl $0x20525450, 4(%ebp)
  jne no_rsdp
  say "RSDP "
  movl %ebp, %ebx
  movl $20, %ecx
  call print_checksum
  say "RSDP extended "
  movl %ebp, %ebx
  movl $36, %ecx
  call print_checksum
  movl 24(%ebp), %ebp             /* XSDT */
  movl %ebp, %ebx
  call print_table
  movl 4(%ebp), %edi
  subl $36, %edi
  shrl $3, %edi                   /* entries, 8 bytes each */
  addl $36, %ebp
  cmpl $64, %edi
  ja no_rsdp
1:
  movl (%ebp), %ebx
  call print_table
  addl $8, %ebp
  decl %edi
  jnz 1b
  ret
no_rsdp:
  say "no RSDP\n"
  ret

/* %ebx: the table; goes on to the DSDT when it is the FADT. */
print_table:
  pushl %edi
  xorl %edi, %edi
1:
  movb (%ebx, %edi), %al
  call put_char
  incl %edi
  cmpl $4, %edi
  jne 1b
  popl %edi
  movb $' ', %al
  call put_char
  movl 4(%ebx), %ecx
  call print_checksum
  cmpl $0x50434146, (%ebx)        /* "FACP": X_DSDT is at 140 */
  jne 1f
  movl 140(%ebx), %ebx
  jmp print_table
1:
  ret

/* %ebx: start, %ecx: bytes. Prints "ok" when they add up to 0. Changes %eax, %ecx, %edx, %esi. */
print_checksum:
  movl %ebx, %esi
  xorl %edx, %edx
1:
  lodsb
  addb %al, %dl
  decl %ecx
  jnz 1b
  testb %dl, %dl
  jnz 2f
  say "ok\n"
  ret
2:
  say "bad checksum\n"
  ret
