/* Echoes what arrives on COM1, driven by its receive interrupt (IRQ 4), until a "." comes. */
#include "guest.h"
#define VECTOR 0x24
.text
.code32
.globl main
main:
  movl $handler, %eax
  movw %ax, gates + VECTOR * 8
  movw $CODE32, gates + VECTOR * 8 + 2
  movw $0x8E00, gates + VECTOR * 8 + 4
  shrl $16, %eax
  movw %ax, gates + VECTOR * 8 + 6
  lidt gates_pointer
  call start_pic
  movl $0x1FF, LOCAL_APIC + 0xF0  /* enabled, spurious vector 0xFF */
  movl $0x700, LOCAL_APIC + 0x350 /* LINT0 takes what the 8259s send, as firmware sets it */
  movl $COM1_MCR, %edx            /* OUT2: the interrupt reaches the bus */
  movb $0x0B, %al
  outb %al, %dx
  movl $COM1_IER, %edx
  movb $1, %al
  outb %al, %dx
  say "echo: ready\n"
1:
  sti                             /* takes effect after the hlt has begun: no wake-up is missed */
  hlt
  cli
  cmpb $0, done
  je 1b
  say "\necho: done\n"
  ret

handler:
  pushl %eax
  pushl %edx
1:
  movl $COM1_LSR, %edx
  inb %dx, %al
  testb $1, %al
  jz 2f
  movl $COM1, %edx
  inb %dx, %al
  call put_char
  cmpb $'.', %al
  jne 1b
  movb $1, done
  jmp 1b
2:
  movb $0x20, %al
  outb %al, $PIC1
  popl %edx
  popl %eax
  return_from_interrupt

/* Both 8259s: vectors from 0x20, all masked but COM1. */
start_pic:
  movb $0x11, %al
  outb %al, $PIC1
  outb %al, $PIC2
  movb $0x20, %al
  outb %al, $PIC1 + 1
  movb $0x28, %al
  outb %al, $PIC2 + 1
  movb $4, %al
  outb %al, $PIC1 + 1
  movb $2, %al
  outb %al, $PIC2 + 1
  movb $1, %al
  outb %al, $PIC1 + 1
  outb %al, $PIC2 + 1
  movb $0xEF, %al
  outb %al, $PIC1 + 1
  movb $0xFF, %al
  outb %al, $PIC2 + 1
  ret

.data
gates_pointer:
  .word 64 * 8 - 1
  .long gates
done: .byte 0
.bss
.balign 8
gates: .skip 64 * 8
