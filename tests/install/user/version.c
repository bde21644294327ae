/* The smallest program on the public API. */
#include <starlane.h>
#include <stdio.h>

int main(void) {
    return puts(sl_version()) < 0;
}
