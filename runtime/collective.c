#include "runtime/collective.h"

size_t sl_collective_type_bytes(sl_collective_type type) {
    static const size_t bytes[SL_COLLECTIVE_TYPES] = {sizeof(float), sizeof(double),
                                                      sizeof(int64_t)};
    return (unsigned)type < SL_COLLECTIVE_TYPES ? bytes[type] : 0;
}

static sl_err check_array(uint64_t count, sl_collective_type type) {
    if (!sl_collective_type_bytes(type))
        return sl_fail(SL_ERR_INVALID, "no element type %d", (int)type);
    if (count > SL_COLLECTIVE_MAX_COUNT)
        return sl_fail(SL_ERR_TOO_LARGE, "%llu elements, of at most %llu",
                       (unsigned long long)count, (unsigned long long)SL_COLLECTIVE_MAX_COUNT);
    return SL_OK;
}

sl_err sl_collective_allreduce(sl_collective *collective, void *array, uint64_t count,
                               sl_collective_type type, sl_collective_reduction reduction,
                               sl_collective_ticket *ticket) {
    SL_TRY(check_array(count, type));
    if ((unsigned)reduction >= SL_COLLECTIVE_REDUCTIONS)
        return sl_fail(SL_ERR_INVALID, "no reduction %d", (int)reduction);
    return collective->ops->allreduce(collective, array, count, type, reduction, ticket);
}

sl_err sl_collective_broadcast(sl_collective *collective, void *array, uint64_t count,
                               sl_collective_type type, uint32_t root,
                               sl_collective_ticket *ticket) {
    SL_TRY(check_array(count, type));
    if (root >= collective->count)
        return sl_fail(SL_ERR_INVALID, "no member %u of %u", root, collective->count);
    return collective->ops->broadcast(collective, array, count, type, root, ticket);
}

sl_err sl_collective_allgather(sl_collective *collective, const void *part, void *array,
                               uint64_t count, sl_collective_type type,
                               sl_collective_ticket *ticket) {
    SL_TRY(check_array(count, type));
    return collective->ops->allgather(collective, part, array, count, type, ticket);
}

sl_err sl_collective_barrier(sl_collective *collective, sl_collective_ticket *ticket) {
    return collective->ops->barrier(collective, ticket);
}

sl_err sl_collective_test(sl_collective *collective, sl_collective_ticket ticket, bool *done) {
    return collective->ops->test(collective, ticket, done);
}

void sl_collective_close(sl_collective *collective) {
    if (collective)
        collective->ops->close(collective);
}
