/* An ELF32 image with a PVH note; otherwise as plain as can be. */
#include "guest.h"
.text
.code32
.globl main
main:
  say "hello from an ELF32 image\n"
  ret
