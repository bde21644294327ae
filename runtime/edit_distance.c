#include "runtime/edit_distance.h"

#include <string.h>

/* One row of the matrix is enough. */
size_t sl_edit_distance(const char *a, const char *b) {
    size_t row[SL_EDIT_WORD_BYTES], n = strlen(b);
    if (strlen(a) >= SL_EDIT_WORD_BYTES || n >= SL_EDIT_WORD_BYTES)
        return SL_EDIT_WORD_BYTES;
    for (size_t j = 0; j <= n; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1]; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t insert = (row[j] < row[j - 1] ? row[j] : row[j - 1]) + 1;
            row[j] = change < insert ? change : insert;
        }
    }
    return row[n];
}
