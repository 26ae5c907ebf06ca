/* As "counter", but quicker and for ever. */
#define DELAY 3000
#define FOREVER
#include "counter.S"
