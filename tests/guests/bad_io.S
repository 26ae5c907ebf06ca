/* Writes rubbish to every port, to the configuration space of every PCI function, and all over their
   BARs, then prints a marker: whatever happened to the devices, the VMM and the serial port must
   still be there. Left out is only what ends or stops the machine by design. */
#include "guest.h"
.text
.code32
.globl main
main:
  cli
  call bad_ports
  call good_uart
  say "ports: survived\n"
  call bad_bars
  say "bars: survived\n"
  call bad_config
  say "config space: survived\n"
  ret

/* Next pseudo-random number in %eax (Numerical Recipes' generator), without the bits that would make
   a stray MSI an INIT or NMI of our only processor. */
rubbish:
  imull $1664525, seed, %eax
  addl $1013904223, %eax
  movl %eax, seed
  shrl $8, %eax
  andl $0xFFF8F8, %eax
  ret

bad_ports:
  xorl %ebx, %ebx
1:
  call is_port_left_out
  jc 2f
  call rubbish
  movl %ebx, %edx
  outb %al, %dx
  inb %dx, %al
  testl $3, %ebx                  /* wide accesses cross into neighbours: one in four is enough */
  jnz 2f
  leal 3(%ebx), %edx
  call is_port_left_out
  jc 2f
  call rubbish
  movl %ebx, %edx
  outw %ax, %dx
  outl %eax, %dx
  inl %dx, %eax
2:
  incl %ebx
  cmpl $0x1000, %ebx
  jne 1b
3:                                /* nobody lives above; look in now and then */
  movl %ebx, %edx
  outl %eax, %dx
  inb %dx, %al
  addl $0x3FC, %ebx
  cmpl $0x10000, %ebx
  jb 3b
  ret

/* Carry when port %ebx resets, powers off, panics, or belongs to COM1's output. */
is_port_left_out:
  cmpl $I8042_COMMAND, %ebx
  je 1f
  cmpl $I8042_COMMAND - 4, %ebx   /* a wide access here reaches it */
  je 1f
  cmpl $0x92, %ebx                /* fast reset of PC/AT */
  je 1f
  cmpl $0x90, %ebx
  je 1f
  cmpl $PVPANIC, %ebx
  je 1f
  cmpl $PVPANIC - 1, %ebx
  je 1f
  movl %ebx, %eax
  andl $~0xF, %eax
  cmpl $SLEEP_CONTROL, %eax
  je 1f
  movl %ebx, %eax
  andl $~7, %eax
  cmpl $COM1, %eax
  je 2f
  cmpl $PCI_ADDRESS, %eax         /* has its own part, and 0xCF9 resets a PC */
  je 1f
  clc
  ret
1:
  stc
  ret
2:
  cmpl $COM1, %ebx                /* its other registers do get rubbish */
  je 1b
  testl $3, %ebx
  jz 1b
  clc
  ret

/* COM1 back to 8n1, no loopback, no interrupts. */
good_uart:
  movl $COM1_LCR, %edx
  movb $3, %al
  outb %al, %dx
  movl $COM1_IER, %edx
  xorl %eax, %eax
  outb %al, %dx
  movl $COM1_MCR, %edx
  movb $0x03, %al
  outb %al, %dx
  ret

/* Selects register %ecx of device %ebp. */
select_config:
  movl %ebp, %eax
  shll $11, %eax
  leal 0x80000000(%eax, %ecx), %eax
  movl $PCI_ADDRESS, %edx
  outl %eax, %dx
  movl $PCI_DATA, %edx
  ret

/* Next present device from %ebp on; carry when there is none. */
next_device:
  cmpl $32, %ebp
  jae 1f
  xorl %ecx, %ecx
  call select_config
  inl %dx, %eax
  cmpw $0xFFFF, %ax
  jne 2f
  incl %ebp
  jmp next_device
1:
  stc
  ret
2:
  clc
  ret

bad_bars:
  xorl %ebp, %ebp
1:
  call next_device
  jc 4f
  movl $4, %ecx                   /* memory space and bus mastering on */
  call select_config
  movw $6, %ax
  outw %ax, %dx
  movl $0x10, %edi
2:
  movl %edi, %ecx
  call select_config
  inl %dx, %eax
  testb $1, %al
  jnz 3f
  andl $~0xF, %eax
  cmpl $0xC0000000, %eax          /* below is RAM: not set, or the upper half of a 64-bit BAR */
  jb 3f
  movl %eax, %ebx
  call bad_range
3:
  addl $4, %edi
  cmpl $0x28, %edi
  jne 2b
  incl %ebp
  jmp 1b
4:
  ret

/* %ebx: start. Reads and writes 16 KiB, every 8 bytes, with a width that changes. */
bad_range:
  movl $0x800, %ecx
1:
  call rubbish
  testl $8, %ebx
  jz 2f
  movl %eax, (%ebx)
  movl (%ebx), %eax
  jmp 3f
2:
  movb %al, (%ebx)
  movw %ax, 2(%ebx)
  movl %eax, 5(%ebx)
  movw 1(%ebx), %ax
3:
  addl $8, %ebx
  decl %ecx
  jnz 1b
  ret

/* Every register of every present function, by ports and by ECAM; then ECAM where nobody is. */
bad_config:
  xorl %ebp, %ebp
1:
  call next_device
  jc 3f
  xorl %edi, %edi
2:
  movl %edi, %ecx
  call select_config
  call rubbish
  outl %eax, %dx
  inl %dx, %eax
  movl %ebp, %ebx
  shll $15, %ebx
  call rubbish
  movw %ax, ECAM + 1(%ebx, %edi)
  movl %eax, ECAM(%ebx, %edi)
  movb ECAM + 3(%ebx, %edi), %al
  addl $4, %edi
  cmpl $0x100, %edi
  jne 2b
  movl %eax, ECAM + 0xFFE(%ebx)   /* extended space, across its end */
  incl %ebp
  jmp 1b
3:
  movl %eax, ECAM + 0xFFFFC
  movl %eax, ECAM + 0xFF000 - 2
  ret

.data
seed: .long 20240229
