/* Memory that the other processes of this host may map and read: an arena per process, in which
 * blobs lie. Who is told a blob's place reads it where it lies, without a copy, and keeps it also
 * when the process that made it is gone. A process is told places by its peers: they are checked
 * before anything is mapped, and what is mapped can only be read. Any thread. */
#ifndef SL_RUNTIME_SHARED_H
#define SL_RUNTIME_SHARED_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/blob.h"
#include "runtime/err.h"

/* Blobs below this are not worth a place of their own, and are refused. */
#define SL_SHARED_LEAST_BYTES ((uint64_t)4096)

/* An arena of this process. Counted: its blobs keep it too. */
typedef struct sl_shared sl_shared;

/* An arena of another process, mapped. Counted. */
typedef struct sl_shared_map sl_shared_map;

/* Where a blob lies. */
typedef struct sl_shared_place {
    uint64_t file; /* tells the arena from every other that its process had at that number */
    uint64_t arena_bytes;
    uint64_t offset, bytes;
    uint32_t pid;
    uint32_t number; /* of the arena's descriptor in that process */
} sl_shared_place;

/* Which processes can map each other's memory: those that have this number in common (and the
 * system's leave). 0: none can. */
uint64_t sl_shared_host(void);

/* An arena that blobs of `bytes` in all fit in. Takes memory only as blobs are written.
 * SL_ERR_NO_MEMORY: the system refuses. */
sl_err sl_shared_create(uint64_t bytes, sl_shared **shared) SL_CHECKED;
void sl_shared_release(sl_shared *shared);

/* A blob of `bytes` uninitialised bytes on a border of 4096, with one reference.
 * SL_ERR_NO_MEMORY: there is no such piece of the arena; SL_ERR_INVALID: too small for it. */
sl_err sl_shared_take(sl_shared *shared, uint64_t bytes, sl_blob **blob) SL_CHECKED;

/* Where `blob` lies; false: not in `shared`. */
bool sl_shared_place_of(sl_shared *shared, const sl_blob *blob, sl_shared_place *place);

/* Maps the arena that `place` lies in. SL_ERR_DECODE: it cannot be a place; SL_ERR_UNAVAILABLE: the
 * arena cannot be opened, or is not the one that was meant. */
sl_err sl_shared_map_open(const sl_shared_place *place, sl_shared_map **map) SL_CHECKED;
sl_shared_map *sl_shared_map_retain(sl_shared_map *map);
void sl_shared_map_release(sl_shared_map *map); /* NULL is fine */

/* What lies at `place`, or NULL: it is of another arena, or beyond this one's end. */
const void *sl_shared_map_at(const sl_shared_map *map, const sl_shared_place *place);

#endif
