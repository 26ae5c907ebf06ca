/* Wakes every other processor by INIT and start-up IPIs (Intel SDM 3A, section 8.4.4.1). Each one
   goes from real to protected mode, prints its APIC id under a lock, is counted, and halts. How many
   processors to wait for comes from the command line: "cpus=N". */
#include "guest.h"
#define TRAMPOLINE 0x2000         /* a free page of low memory */
#define ICR_LOW 0x300
#define ALL_BUT_SELF 0xC4000      /* shorthand 3, level asserted; delivery mode is added */

.text
.code32
.globl main
main:
  call read_wanted
  movl $trampoline, %esi
  movl $TRAMPOLINE, %edi
  movl $trampoline_end - trampoline, %ecx
  rep movsb
  orl $0x100, LOCAL_APIC + 0xF0   /* software enable */
  movl $ALL_BUT_SELF + 0x500, LOCAL_APIC + ICR_LOW
  call settle
  movl $ALL_BUT_SELF + 0x600 + (TRAMPOLINE >> 12), LOCAL_APIC + ICR_LOW
  call settle
  movl $ALL_BUT_SELF + 0x600 + (TRAMPOLINE >> 12), LOCAL_APIC + ICR_LOW
1:
  pause
  movl online, %eax
  cmpl wanted, %eax
  jne 1b
  say "processors: "
  movl online, %eax
  call put_decimal
  call new_line
  ret

/* Lets the message arrive; the specification's 10 ms is not needed by a virtual processor. */
settle:
  movl $1000, %ecx
1:
  pause
  decl %ecx
  jnz 1b
  ret

/* "cpus=N", wherever it stands, -> `wanted`; 1 without it. */
read_wanted:
  movl start_info, %ebp
  movl START_CMDLINE(%ebp), %esi
  testl %esi, %esi
  jz 3f
1:
  cmpl $0x73757063, (%esi)        /* "cpus" */
  je 1f
  incl %esi
  cmpb $0, (%esi)
  jne 1b
  ret
1:
  addl $5, %esi
  xorl %ebx, %ebx
1:
  movzbl (%esi), %eax
  subl $'0', %eax
  jb 2f
  cmpl $9, %eax
  ja 2f
  imull $10, %ebx
  addl %eax, %ebx
  incl %esi
  jmp 1b
2:
  movl %ebx, wanted
3:
  ret

/* Runs at TRAMPOLINE:0 in real mode. */
.code16
trampoline:
  cli
  xorw %ax, %ax
  movw %ax, %ds
  lgdtl TRAMPOLINE + pointer_copy - trampoline
  movl %cr0, %eax
  orl $1, %eax
  movl %eax, %cr0
  ljmpl $CODE32, $processor_entry
pointer_copy:
  .word 0x2F
  .long descriptor_table
trampoline_end:

.code32
processor_entry:
  movl $DATA32, %eax
  movl %eax, %ds
  movl %eax, %ss
1:
  movl $1, %eax                   /* one stack and one UART: one at a time */
  xchgl %eax, lock_word
  testl %eax, %eax
  jz 2f
  pause
  jmp 1b
2:
  movl $processor_stack_top, %esp
  movl LOCAL_APIC + 0x20, %eax
  shrl $24, %eax
  pushl %eax
  say "processor "
  popl %eax
  call put_decimal
  call new_line
  incl online
  movl $0, lock_word
1:
  cli
  hlt
  jmp 1b

.data
online: .long 1
wanted: .long 1
lock_word: .long 0

.bss
.balign 16
.skip 1024
processor_stack_top:
