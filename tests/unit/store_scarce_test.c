/* A store where memory, or the disk, fails at every single call on the way: objects are made, read
 * and spilled, or refused with a cause; what is there stays what it was. */
#include <fcntl.h>
#include <unistd.h>

#include "actors/store/store.h"
#include "tests/lib/scarce.h"
#include "tests/lib/test.h"

enum { CALLS_MOST = 2000, COUNT = 6, BYTES = 20000 };

static bool shares;

static int next_fd(void) {
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(fd);
    return fd;
}

static bool has_cause(sl_err err) {
    return (err == SL_ERR_NO_MEMORY || err == SL_ERR_IO) && sl_err_detail()[0];
}

static sl_store_object *put(sl_store *store, unsigned char seed) {
    sl_store_type type = {.kind = 1};
    sl_store_object *object = NULL;
    sl_err err = sl_store_make(store, &type, BYTES, &object);
    if (err != SL_OK) {
        CHECK(has_cause(err));
        return NULL;
    }
    memset(sl_store_data(object), seed, BYTES);
    CHECK_INT(sl_store_seal(object), SL_OK);
    return object;
}

/* Once or, as only one call fails, the second time: nothing is lost for good. */
static void check(sl_store_object *object, unsigned char seed) {
    sl_store_content content;
    sl_err err = sl_store_get(object, 0, &content);
    if (err != SL_OK) {
        CHECK(has_cause(err));
        err = sl_store_get(object, 0, &content);
    }
    CHECK_INT(err, SL_OK);
    if (err != SL_OK)
        return;
    const unsigned char *data = content.data;
    CHECK(content.bytes == BYTES && data[0] == seed && data[BYTES - 1] == seed);
    sl_store_unpin(object);
}

static void use_store(void) {
    sl_store *store = NULL;
    sl_store_object *objects[COUNT], *foreign = NULL;
    sl_store_options options = {.nodes = 2,
                                .incarnation = 1,
                                .limit_bytes = 2 * BYTES + 100,
                                .shares = shares,
                                .spill_directory = sl_test_dir()};
    sl_err err = sl_store_create(&options, &store);
    if (err != SL_OK) {
        CHECK(has_cause(err));
        return;
    }
    for (int i = 0; i < COUNT; i++)
        objects[i] = put(store, (unsigned char)(i + 1));
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < COUNT; i++)
            if (objects[i])
                check(objects[i], (unsigned char)(i + 1));
    if (objects[0] && (err = sl_store_hold(objects[0], 1, 0)) != SL_OK)
        CHECK(has_cause(err));
    else if (objects[0])
        sl_store_unhold(objects[0], 1);
    err = sl_store_open(store, (sl_store_id){1, 1, 1}, false, &foreign);
    CHECK(err == SL_OK || has_cause(err));
    if (foreign)
        sl_store_unhold(foreign, 0);
    sl_store_object_release(foreign);
    for (int i = 0; i < COUNT; i++)
        sl_store_object_release(objects[i]);
    CHECK_INT(sl_store_loads(store).objects, 0);
    CHECK_INT(sl_store_loads(store).bytes, 0);
    sl_store_release(store);
}

static void fail_everywhere(unsigned kinds) {
    unsigned n = 1;
    int before = next_fd();
    (void)sl_test_dir();
    for (; n < CALLS_MOST; n++) {
        scarce_begin(kinds, n, false);
        use_store();
        bool failed = scarce_end();
        CHECK_INT(next_fd(), before);
        if (!failed)
            break;
    }
    CHECK(n > 10 && n < CALLS_MOST);
}

TEST(memory_and_disk_fail_at_every_call) {
    for (int i = 0; i < 2; i++) {
        shares = i;
        fail_everywhere(SCARCE_MEMORY);
        fail_everywhere(SCARCE_SYSTEM);
    }
}
