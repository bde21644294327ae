/* How far apart two words are, to guess which one was meant. */
#ifndef SL_RUNTIME_EDIT_DISTANCE_H
#define SL_RUNTIME_EDIT_DISTANCE_H

#include <stddef.h>

enum { SL_EDIT_WORD_BYTES = 64 /* words this long or longer are this far from all */ };

/* Insertions, deletions and replacements of bytes that make `b` of `a` (Levenshtein). Any thread.
 */
size_t sl_edit_distance(const char *a, const char *b);

#endif
