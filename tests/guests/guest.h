/* What all test guests share: where things are on the machine, and PVH's start information.
   Ports and addresses: vmm/machine_layout.h. */
#define COM1 0x3F8
#define COM1_IER (COM1 + 1)
#define COM1_LCR (COM1 + 3)
#define COM1_MCR (COM1 + 4)
#define COM1_LSR (COM1 + 5)
#define SLEEP_CONTROL 0x600   /* ACPI 6.5, section 4.8.3.7: SLP_EN is bit 5, SLP_TYP bits 4:2 */
#define SLEEP_S5 0x34         /* SLP_EN with the SLP_TYP 5 that the DSDT names for \_S5 */
#define PVPANIC 0x505
#define I8042_COMMAND 0x64
#define I8042_RESET 0xFE
#define PCI_ADDRESS 0xCF8
#define PCI_DATA 0xCFC
#define ECAM 0xE0000000
#define LOCAL_APIC 0xFEE00000
#define PIC1 0x20
#define PIC2 0xA0

/* struct hvm_start_info, Xen public/arch-x86/hvm/start_info.h */
#define START_MODULES_COUNT 12
#define START_MODULES 16
#define START_CMDLINE 24
#define START_RSDP 32
#define START_MEMMAP 40
#define START_MEMMAP_ENTRIES 48
#define MEMMAP_ENTRY_SIZE 24  /* address, size: 8 bytes each; type: 4; reserved: 4 */
#define E820_RAM 1

/* Selectors of the runtime's descriptor table. */
#define CODE32 0x08
#define DATA32 0x10
#define CODE64 0x18
#define CODE16 0x20
#define DATA16 0x28

#define PVH_NOTE_NUMBER 18    /* XEN_ELFNOTE_PHYS32_ENTRY */

/* say "text": prints it. Changes %eax, %edx and %esi. */
.macro say text
  .pushsection .rodata
9990: .asciz "\text"
  .popsection
  movl $9990b, %esi
  call put_string
.endm

/* Back from an interrupt in the same privilege level. Not iret: a KVM that emulates instructions
   cannot do it in protected mode. The next interrupt may come before the lret and nests. */
.macro return_from_interrupt
  pushl 8(%esp)
  popfl
  lretl $4
.endm
