/* Finds the functions of bus 0 by configuration mechanism 1 (ports 0xCF8, 0xCFC) and by ECAM,
   prints those of the first way and compares the two. */
#include "guest.h"
.text
.code32
.globl main
main:
  xorl %edi, %edi                 /* device number */
1:
  movl %edi, %eax
  shll $11, %eax
  orl $0x80000000, %eax
  movl $PCI_ADDRESS, %edx
  outl %eax, %dx
  movl $PCI_DATA, %edx
  inl %dx, %eax
  movl %eax, %ebx
  movl %edi, %ecx
  shll $15, %ecx
  cmpl %eax, ECAM(%ecx)
  je 2f
  incl mismatches
2:
  cmpw $0xFFFF, %bx
  je 3f
  call print_function
3:
  incl %edi
  cmpl $32, %edi
  jne 1b
  say "virtio functions: "
  movl virtio_functions, %eax
  call put_decimal
  say "\necam mismatches: "
  movl mismatches, %eax
  call put_decimal
  call new_line
  ret

/* %edi: device, %ebx: device id, vendor id. */
print_function:
  say "device "
  movl %edi, %eax
  call put_decimal
  say ": "
  movl %ebx, %eax
  call put_hex32
  call new_line
  cmpw $0x1AF4, %bx
  jne 1f
  incl virtio_functions
1:
  ret

.data
mismatches: .long 0
virtio_functions: .long 0
