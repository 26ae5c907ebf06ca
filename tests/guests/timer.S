/* Takes ten interrupts of the PIT through the 8259s, then five of the local APIC's timer in periodic
   mode and one in one-shot mode, and prints when each batch has come. */
#include "guest.h"
#define PIT_VECTOR 0x20
#define APIC_VECTOR 0x40
.text
.code32
.globl main
main:
  movl $pit_handler, %eax
  movl $PIT_VECTOR, %ebx
  call set_gate
  movl $apic_handler, %eax
  movl $APIC_VECTOR, %ebx
  call set_gate
  lidt gates_pointer
  call start_pic
  call test_pit
  call test_apic
  ret

test_pit:
  movl $0x1FF, LOCAL_APIC + 0xF0  /* enabled, spurious vector 0xFF */
  movl $0x700, LOCAL_APIC + 0x350 /* LINT0 takes what the 8259s send, as firmware sets it */
  movb $0x34, %al                 /* channel 0, both bytes, rate generator */
  outb %al, $0x43
  movb $0xA9, %al                 /* 1193 counts: 1 ms */
  outb %al, $0x40
  movb $0x04, %al
  outb %al, $0x40
1:
  sti                             /* takes effect after the hlt has begun: no wake-up is missed */
  hlt
  cli
  cmpl $10, pit_ticks
  jb 1b
  movb $0xFF, %al                 /* mask it for good */
  outb %al, $PIC1 + 1
  say "pit: interrupts arrive\n"
  ret

test_apic:
  movl $0x3, LOCAL_APIC + 0x3E0   /* divide by 16 */
  movl $0x20000 + APIC_VECTOR, LOCAL_APIC + 0x320
  movl $100000, LOCAL_APIC + 0x380
1:
  sti
  hlt
  cli
  cmpl $5, apic_ticks
  jb 1b
  movl $APIC_VECTOR, LOCAL_APIC + 0x320
  movl $0, apic_ticks
  movl $200000, LOCAL_APIC + 0x380
1:
  sti
  hlt
  cli
  cmpl $0, apic_ticks
  je 1b
  say "local apic timer: interrupts arrive\n"
  ret

/* Both 8259s: vectors from 0x20, all masked but the timer. */
start_pic:
  movb $0x11, %al
  outb %al, $PIC1
  outb %al, $PIC2
  movb $PIT_VECTOR, %al
  outb %al, $PIC1 + 1
  movb $PIT_VECTOR + 8, %al
  outb %al, $PIC2 + 1
  movb $4, %al
  outb %al, $PIC1 + 1
  movb $2, %al
  outb %al, $PIC2 + 1
  movb $1, %al
  outb %al, $PIC1 + 1
  outb %al, $PIC2 + 1
  movb $0xFE, %al
  outb %al, $PIC1 + 1
  movb $0xFF, %al
  outb %al, $PIC2 + 1
  ret

/* %eax: handler, %ebx: vector. */
set_gate:
  leal gates(, %ebx, 8), %edi
  movw %ax, (%edi)
  movw $CODE32, 2(%edi)
  movw $0x8E00, 4(%edi)
  shrl $16, %eax
  movw %ax, 6(%edi)
  ret

pit_handler:
  pushl %eax
  incl pit_ticks
  movb $0x20, %al
  outb %al, $PIC1
  popl %eax
  return_from_interrupt

apic_handler:
  incl apic_ticks
  movl $0, LOCAL_APIC + 0xB0
  return_from_interrupt

.data
gates_pointer:
  .word 128 * 8 - 1
  .long gates
pit_ticks: .long 0
apic_ticks: .long 0
.bss
.balign 8
gates: .skip 128 * 8
