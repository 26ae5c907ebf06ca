/* The guest of bench/snapshot: it lives in much memory and tells, by its own time stamp counter, how
   long it did not run. The initial RAM disk stays where the loader put it (random data there costs
   the guest no instructions); one word in each page of 200 MiB more is written. Then it loops, and a
   turn that took long is a gap. It takes commands from COM1, one byte each, and looks for them about
   every hundredth of a second:
     c  clears the meter
     r  reports: gaps, the longest, their sum, the time since it was cleared (in ticks of the counter)
     w  writes to a page about every 0.4 ms from now on, 200 MiB in turn
     o  prints a byte about every 0.1 ms from now on
     q  neither writes nor prints any more
   Each command but o is answered with a line. Times assume a counter of 2 to 4 GHz. */
#include "guest.h"
#define GAP_TICKS (1 << 18)
#define POLL_TICKS (1 << 24)
#define WRITE_TICKS (1 << 20)
#define PRINT_TICKS (1 << 18)
#define TOUCHED 0x1000000        /* at 16 MiB */
#define TOUCHED_END (TOUCHED + (200 << 20))

/* difference wide, from: the 64-bit value at `wide` minus the one at `from`, in %edx:%eax. */
.macro difference wide, from
  movl \wide, %eax
  movl \wide + 4, %edx
  subl \from, %eax
  sbbl \from + 4, %edx
.endm

/* set_wide to, from: copies 64 bits. Changes %eax. */
.macro set_wide to, from
  movl \from, %eax
  movl %eax, \to
  movl \from + 4, %eax
  movl %eax, \to + 4
.endm

/* unless_due since, ticks, label: jumps while `ticks` have not passed; else `since` is now. Changes
   %eax. `now` is in %ebx:%ecx. */
.macro unless_due since, ticks, label
  movl %ebx, %eax
  subl \since, %eax
  cmpl $\ticks, %eax
  jb \label
  movl %ebx, \since
.endm

.text
.code32
.globl main
main:
  say "awake\n"
  call check_module
  movl $TOUCHED, %edi
1:
  movl %edi, (%edi)
  addl $4096, %edi
  cmpl $TOUCHED_END, %edi
  jb 1b
  say "ready\n"
  call clear

turn:
  rdtsc
  movl %eax, now
  movl %edx, now + 4
  difference now, last
  movl now, %ebx
  movl now + 4, %ecx
  movl %ebx, last
  movl %ecx, last + 4
  testl %edx, %edx
  jnz 1f
  cmpl $GAP_TICKS, %eax
  jb 2f
1:
  call note_gap
2:
  testb $1, is_writing
  jz 3f
  unless_due wrote, WRITE_TICKS, 3f
  call write_page
3:
  testb $1, is_printing
  jz 4f
  unless_due printed, PRINT_TICKS, 4f
  movb $'.', %al
  movl $COM1, %edx
  outb %al, %dx
4:
  unless_due polled, POLL_TICKS, turn
  movl $COM1_LSR, %edx
  inb %dx, %al
  testb $1, %al
  jz turn
  movl $COM1, %edx
  inb %dx, %al
  call obey
  jmp turn

/* %edx:%eax: the gap. */
note_gap:
  incl gaps
  addl %eax, lost
  adcl %edx, lost + 4
  cmpl longest + 4, %edx
  jb 2f
  ja 1f
  cmpl longest, %eax
  jbe 2f
1:
  movl %eax, longest
  movl %edx, longest + 4
2:
  ret

write_page:
  movl next_page, %eax
  incl (%eax)
  addl $4096, %eax
  cmpl $TOUCHED_END, %eax
  jb 1f
  movl $TOUCHED, %eax
1:
  movl %eax, next_page
  ret

/* %al: the command. What it takes to answer is no gap. */
obey:
  cmpb $'c', %al
  je obey_clear
  cmpb $'r', %al
  je report
  cmpb $'w', %al
  je obey_write
  cmpb $'q', %al
  je obey_quiet
  cmpb $'o', %al
  jne start_anew
  movb $1, is_printing
  ret
obey_clear:
  say "cleared\n"
  jmp clear
obey_write:
  movb $1, is_writing
  say "writing\n"
  jmp start_anew
obey_quiet:
  movb $0, is_writing
  movb $0, is_printing
  say "\nquiet\n"

start_anew:
  rdtsc
  movl %eax, last
  movl %edx, last + 4
  ret

clear:
  movl $0, gaps
  movl $0, lost
  movl $0, lost + 4
  movl $0, longest
  movl $0, longest + 4
  call start_anew
  set_wide cleared, last
  ret

report:
  say "gaps "
  movl gaps, %eax
  call put_decimal
  say " longest "
  movl $longest, %ebx
  call put_wide
  say " lost "
  movl $lost, %ebx
  call put_wide
  say " elapsed "
  difference now, cleared
  movl %eax, passed
  movl %edx, passed + 4
  movl $passed, %ebx
  call put_wide
  call new_line
  jmp start_anew

/* %ebx: where 64 bits are, printed as 16 hexadecimal digits. Changes %eax, %ecx, %edx. */
put_wide:
  movl 4(%ebx), %eax
  call put_hex32
  movl (%ebx), %eax
  jmp put_hex32

/* The initial RAM disk has to be there and clear of what is written. */
check_module:
  movl start_info, %ebx
  movl START_MODULES(%ebx), %esi
  cmpl $0, START_MODULES_COUNT(%ebx)
  je 1f
  cmpl $TOUCHED_END, (%esi)
  jb 2f
  ret
1:
  say "no module\n"
  ret
2:
  say "module too low\n"
  ret

.data
.balign 8
now: .quad 0
last: .quad 0
cleared: .quad 0
passed: .quad 0
longest: .quad 0
lost: .quad 0
gaps: .long 0
polled: .long 0
wrote: .long 0
printed: .long 0
next_page: .long TOUCHED
is_writing: .byte 0
is_printing: .byte 0
