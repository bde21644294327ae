/* Design notes
 * The receiver's MPI_Irecv names the blob's memory, so that Open MPI copies once, straight out of
 * the sender's blob (CMA), or the network card writes there. A count of MPI is an int: a larger
 * blob is one element of a derived type of 1 MiB blocks and a rest, and still one message. */
#include "mpi/bulk.h"

#include <stdlib.h>

#include "runtime/log.h"

enum { BLOCK_BYTES = 1 << 20 };

void sl_mpi_bulk_open(sl_mpi_bulk *bulk, const sl_mpi *mpi) {
    *bulk = (sl_mpi_bulk){
        .comm = mpi->bulk, .tag_mask = mpi->tag_mask, .large_bytes = mpi->settings.large_bytes};
}

void sl_mpi_bulk_close(sl_mpi_bulk *bulk) {
    sl_mpi_requests_fini(&bulk->under_way);
}

/* MPI's view of `bytes` contiguous bytes; `own` when the type must be freed. */
typedef struct layout {
    MPI_Datatype type;
    int count;
    bool own;
} layout;

static sl_err layout_large(uint64_t bytes, layout *out) {
    MPI_Datatype block, type;
    SL_MPI_TRY(MPI_Type_contiguous(BLOCK_BYTES, MPI_BYTE, &block));
    uint64_t whole = bytes / BLOCK_BYTES;
    int counts[2] = {(int)whole, (int)(bytes % BLOCK_BYTES)};
    MPI_Aint places[2] = {0, (MPI_Aint)(whole * BLOCK_BYTES)};
    MPI_Datatype types[2] = {block, MPI_BYTE};
    int code = MPI_Type_create_struct(2, counts, places, types, &type);
    MPI_Type_free(&block);
    SL_TRY(sl_mpi_check(code, "MPI_Type_create_struct"));
    SL_MPI_TRY(MPI_Type_commit(&type));
    *out = (layout){.type = type, .count = 1, .own = true};
    return SL_OK;
}

static sl_err layout_of(const sl_mpi_bulk *bulk, uint64_t bytes, layout *out) {
    if (bytes > bulk->large_bytes)
        return layout_large(bytes, out);
    *out = (layout){.type = MPI_BYTE, .count = (int)bytes};
    return SL_OK;
}

static sl_err admit(const sl_mpi_bulk *bulk) {
    if (bulk->under_way.count < SL_MPI_BULK_MAX)
        return SL_OK;
    return sl_fail(SL_ERR_AGAIN, "%d bulk transfers are under way, the most allowed",
                   SL_MPI_BULK_MAX);
}

static sl_err prepare(sl_mpi_bulk *bulk, uint64_t bytes, layout *out) {
    SL_TRY(sl_mpi_requests_reserve(&bulk->under_way, 1));
    return layout_of(bulk, bytes, out);
}

sl_err sl_mpi_bulk_send(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id, sl_blob *blob) {
    layout as;
    SL_TRY(admit(bulk));
    SL_TRY(prepare(bulk, blob->bytes, &as));
    MPI_Request request;
    int tag = (int)(id & (uint64_t)bulk->tag_mask);
    int code = MPI_Isend(blob->data, as.count, as.type, (int)peer, tag, bulk->comm, &request);
    if (as.own)
        MPI_Type_free(&as.type);
    SL_TRY(sl_mpi_check(code, "MPI_Isend of bulk data"));
    sl_mpi_requests_add(&bulk->under_way, request,
                        (sl_mpi_entry){sl_blob_retain(blob), id, peer, SL_MPI_BULK_SEND});
    bulk->sends++;
    return SL_OK;
}

static sl_err receive_post(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id, uint64_t bytes) {
    layout as;
    sl_blob *blob;
    MPI_Request request;
    SL_TRY(sl_blob_create(bytes, &blob));
    sl_err err = prepare(bulk, bytes, &as);
    if (err == SL_OK) {
        int tag = (int)(id & (uint64_t)bulk->tag_mask);
        err = sl_mpi_check(
            MPI_Irecv(blob->data, as.count, as.type, (int)peer, tag, bulk->comm, &request),
            "MPI_Irecv of bulk data");
        if (as.own)
            MPI_Type_free(&as.type);
    }
    if (err != SL_OK) {
        sl_blob_release(blob);
        return err;
    }
    sl_mpi_requests_add(&bulk->under_way, request,
                        (sl_mpi_entry){blob, id, peer, SL_MPI_BULK_RECEIVE});
    return SL_OK;
}

sl_err sl_mpi_bulk_receive(sl_mpi_bulk *bulk, uint32_t peer, uint64_t id, uint64_t bytes) {
    SL_TRY(admit(bulk));
    if (bytes > SL_BLOB_MAX_BYTES)
        return sl_fail(SL_ERR_TOO_LARGE, "bulk data of %llu bytes", (unsigned long long)bytes);
    return receive_post(bulk, peer, id, bytes);
}

static void count_out(sl_mpi_bulk *bulk, const sl_mpi_entry *entry) {
    bulk->sends -= entry->kind == SL_MPI_BULK_SEND;
}

int sl_mpi_bulk_test(sl_mpi_bulk *bulk) {
    int over = sl_mpi_requests_test(&bulk->under_way);
    for (int i = 0; i < over; i++)
        count_out(bulk, &bulk->under_way.finished[i].entry);
    return over;
}

bool sl_mpi_bulk_whole(const sl_mpi_finished *finished) {
    const sl_blob *blob = finished->entry.object;
    if (finished->code == MPI_SUCCESS && !finished->cancelled && finished->bytes == blob->bytes)
        return true;
    sl_warn("mpi", "bulk data did not arrive: peer %u id %llu bytes %llu of %llu code %d",
            finished->entry.peer, (unsigned long long)finished->entry.id,
            (unsigned long long)finished->bytes, (unsigned long long)blob->bytes, finished->code);
    return false;
}

void sl_mpi_bulk_abandon(sl_mpi_bulk *bulk, uint32_t peer, sl_mpi_requests *orphans) {
    sl_mpi_requests *all = &bulk->under_way;
    for (int i = 0; i < all->count; i++) {
        if (all->entries[i].peer != peer)
            continue;
        if (all->entries[i].kind == SL_MPI_BULK_RECEIVE)
            MPI_Cancel(&all->requests[i]);
        count_out(bulk, &all->entries[i]);
    }
    sl_mpi_requests_move(all, orphans, peer);
}
