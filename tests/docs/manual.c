/* manual TEMPLATE: prints docs/starlane.1: the template with the options where it says @OPTIONS@.
 */
#include <stdio.h>
#include <string.h>

#include "starlane.h"

int main(int argc, char **argv) {
    char line[4096];
    FILE *template = argc == 2 ? fopen(argv[1], "r") : NULL;
    char *options = sl_options_man();
    if (!template || !options)
        return 2;
    while (fgets(line, sizeof line, template))
        fputs(strcmp(line, "@OPTIONS@\n") == 0 ? options : line, stdout);
    fclose(template);
    sl_free(options);
    return 0;
}
