/* API keys: who may come in from outside, for which project, and how much that project may use.
 *
 *   slk_ID_REST      ID: 16 hexadecimal digits, by which people speak of a key; REST: 64, random
 *
 * Of a key the store has only BLAKE2b, keyed with a secret of the store: whoever reads the file
 * learns no key, and without that secret cannot even try some. The file has a checksum under the
 * same secret. It is replaced whole, under a lock, so that commands may change it while a gateway
 * runs, which reads it again when it has changed.
 *
 *   DIR (0700)/api-keys (0600), api-keys.secret (0600), api-keys.lock
 *
 * One thread at a time for one store. Times are seconds since 1970. */
#ifndef SL_GATEWAY_KEY_STORE_H
#define SL_GATEWAY_KEY_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/err.h"

enum {
    SL_KEY_HASH_BYTES = 32,
    SL_KEY_NAME_BYTES = 17,                  /* of an ID, with its NUL */
    SL_KEY_TEXT_BYTES = 4 + 16 + 1 + 64 + 1, /* of a key, with its NUL */
    SL_DRAWN_BYTES = 33,                     /* of a drawn name, with its NUL */
    SL_PROJECT_BYTES = 65,                   /* of a project's name, with its NUL */
    SL_KEYS_MOST = 4096,
    SL_KEY_FILE_MOST_BYTES = 2 << 20,
    SL_SCOPES_BYTES = 64, /* of scopes' names, with room for more */
};

typedef enum sl_scope {
    SL_SCOPE_SUBMIT = 1,  /* call functions, bring objects, take tasks back */
    SL_SCOPE_READ = 2,    /* see how the project and its tasks are doing, and their output */
    SL_SCOPE_ADMIN = 4,   /* see all projects, cancel their tasks, revoke keys, end the network */
    SL_SCOPE_COMMAND = 8, /* run programs on the nodes, as the network's user */
    SL_SCOPE_MODULE = 16, /* bring code along, which is as powerful as a node */
    SL_SCOPES_ALL = 31
} sl_scope;

typedef struct sl_api_key {
    char id[SL_KEY_NAME_BYTES];
    uint8_t hash[SL_KEY_HASH_BYTES];
    char project[SL_PROJECT_BYTES];
    uint32_t scopes; /* sl_scope, or-ed */
    uint64_t created_s;
    uint64_t expires_s; /* 0: never */
    uint64_t revoked_s; /* 0: it holds */
} sl_api_key;

/* What a project may use; 0: no bound. */
typedef struct sl_quota {
    char project[SL_PROJECT_BYTES];
    double ucu_s;           /* of all its tasks since the gateway started */
    uint64_t tasks;         /* accepted and not ended */
    uint64_t payload_bytes; /* of those, and of results that wait */
    uint64_t output_bytes;  /* of its commands, that lie at the gateway */
} sl_quota;

typedef struct sl_key_list {
    sl_api_key *keys;
    size_t count;
    sl_quota *quotas;
    size_t quota_count;
} sl_key_list;

typedef struct sl_key_store sl_key_store;

/* Opens the store in `directory`, which is made, with a new secret, if need be. Blocks for the
 * disk. SL_ERR_REFUSED: others may read it, or its checksum is wrong; SL_ERR_DECODE, SL_ERR_IO. */
sl_err sl_key_store_open(const char *directory, sl_key_store **store) SL_CHECKED;
void sl_key_store_close(sl_key_store *store); /* wipes; NULL is fine */

/* Reads the file again if it was replaced. On an error what was known stays. */
sl_err sl_key_store_refresh(sl_key_store *store) SL_CHECKED;

/* What it holds; until the store is next called. */
const sl_key_list *sl_key_store_list(const sl_key_store *store);

/* The one of that id; NULL: there is none. */
const sl_api_key *sl_key_list_find(const sl_key_list *list, const char *id);

/* A new key, whose text (SL_KEY_TEXT_BYTES) is nowhere else. `expires_s` 0: never. SL_ERR_INVALID:
 * no project's name, no scope. */
sl_err sl_key_store_create(sl_key_store *store, const char *project, uint32_t scopes,
                           uint64_t now_s, uint64_t expires_s, char *text) SL_CHECKED;

/* The key `id` holds no more. SL_ERR_NOT_FOUND; SL_ERR_EXISTS: it was revoked before. */
sl_err sl_key_store_revoke(sl_key_store *store, const char *id, uint64_t now_s) SL_CHECKED;

/* Sets what a project may use. */
sl_err sl_key_store_set_quota(sl_key_store *store, const sl_quota *quota) SL_CHECKED;
/* All zero when none was set. */
sl_quota sl_key_store_quota(const sl_key_store *store, const char *project);

/* The key that `text` is, if it holds now for that project. SL_ERR_REFUSED says no more than the
 * asker may know; `*known` is the key's id when there is such a key, else "". The time taken does
 * not depend on which part of a key is wrong. */
sl_err sl_key_store_check(const sl_key_store *store, const char *text, size_t bytes,
                          const char *project, uint64_t now_s, const sl_api_key **key,
                          const char **known) SL_CHECKED;

/* "submit,read,admin,command,module" to scopes, and back. */
sl_err sl_scopes_parse(const char *text, uint32_t *scopes) SL_CHECKED;
void sl_scopes_print(uint32_t scopes, char text[SL_SCOPES_BYTES]);

/* Bytes that nobody guesses. */
void sl_draw(void *to, size_t bytes);
/* Where a name belongs in a table: who does not know the key cannot choose names that meet. */
uint32_t sl_name_hash(const char *name, const uint8_t key[16]);
/* A name that nobody guesses: 32 hexadecimal digits. */
void sl_name_draw(char text[SL_DRAWN_BYTES]);
/* Are two such names the same? The time taken does not tell where they differ. */
bool sl_name_is(const char *one, const char *other);

/* 1 to 64 letters, digits and _ - . */
bool sl_project_is_valid(const char *name);

/* key_file.c: the file's text without its last line (the checksum), and back. Pure. A list is freed
 * by sl_key_list_fini(). */
struct sl_strbuf;
void sl_key_list_print(const sl_key_list *list, struct sl_strbuf *out);
sl_err sl_key_list_parse(const char *text, size_t bytes, sl_key_list *list) SL_CHECKED;
void sl_key_list_fini(sl_key_list *list);

#endif
