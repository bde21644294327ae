/* reference options|messages|metrics: prints the page of docs/ that is made from the definitions.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/executor/executor_msgs.h"
#include "actors/registry/registry_msgs.h"
#include "actors/roster/roster_msgs.h"
#include "actors/scheduler/scheduler_msgs.h"
#include "actors/store/store_msgs.h"
#include "runtime/config.h"
#include "runtime/runtime_msgs.h"
#include "sdk/actor_msgs.h"
#include "sdk/run_msgs.h"
#include "sdk/simulation_msgs.h"
#include "sdk/spare_msgs.h"

enum { TYPES_MOST = 1024, RECORDS_MOST = 256, PAGE_BYTES = 1 << 20 };

/* Naming one type of each protocol makes the linker keep all of them. */
static const sl_message_type *const volatile protocols[] = {
    &node_stop_type,  &registry_gossip_type, &scheduler_submit_type, &executor_assign_type,
    &run_signal_type, &simulation_say_type,  &spare_takes_type,      &store_get_type,
    &actor_tell_type, &roster_ask_type};

static int by_id(const void *left, const void *right) {
    const sl_message_type *const *a = left, *const *b = right;
    return ((*a)->id > (*b)->id) - ((*a)->id < (*b)->id);
}

static void print_kind(sl_strbuf *out, const sl_field *field) {
    static const char *const names[] = {
        [SL_KIND_U8] = "u8",     [SL_KIND_U16] = "u16",      [SL_KIND_U32] = "u32",
        [SL_KIND_U64] = "u64",   [SL_KIND_I32] = "i32",      [SL_KIND_I64] = "i64",
        [SL_KIND_F64] = "f64",   [SL_KIND_ADDR] = "address", [SL_KIND_BOOL] = "bool",
        [SL_KIND_TEXT] = "text", [SL_KIND_BYTES] = "bytes",  [SL_KIND_LIST] = "list",
        [SL_KIND_BLOB] = "blob"};
    sl_strbuf_append(out, names[field->kind]);
    if (field->kind == SL_KIND_LIST)
        sl_strbuf_printf(out, " of `%s`", field->record->name);
    if (field->bound)
        sl_strbuf_printf(out, ", at most %u", field->bound);
}

static void print_fields(sl_strbuf *out, const sl_record *record) {
    if (record->field_count == 0)
        return;
    sl_strbuf_append(out, "\n| field | holds | |\n| --- | --- | --- |\n");
    for (uint32_t i = 0; i < record->field_count; i++) {
        const sl_field *field = &record->fields[i];
        sl_strbuf_printf(out, "| `%s` | ", field->name);
        print_kind(out, field);
        sl_strbuf_printf(out, " | %s |\n", field->doc);
    }
}

/* Notes the records that the fields are lists of, each once, after those that mention them. */
static void note_records(const sl_record *of, const sl_record **records, size_t *count) {
    for (uint32_t i = 0; i < of->field_count; i++) {
        const sl_record *inner = of->fields[i].record;
        size_t at = 0;
        while (at < *count && records[at] != inner)
            at++;
        if (!inner || at < *count || *count == RECORDS_MOST)
            continue;
        records[(*count)++] = inner;
        note_records(inner, records, count);
    }
}

static void print_messages(sl_strbuf *out) {
    const sl_message_type *types[TYPES_MOST];
    const sl_record *records[RECORDS_MOST];
    size_t count = sl_message_types(types, TYPES_MOST), record_count = 0;
    static const char *const lanes[] = {"control", "data", "local"};
    qsort(types, count, sizeof(types[0]), by_id);
    sl_strbuf_append(
        out,
        "# Messages\n\nMade from the `*_msgs.def` files (`cmake --build build/release --target "
        "docs`). Numbers are of\nbytes or of elements. How messages travel: "
        "[architecture.md](architecture.md#messages).\n");
    for (size_t i = 0; i < count; i++) {
        sl_strbuf_printf(out, "\n## %s\n\n`0x%04x`, %s lane: %s.\n", types[i]->record.name,
                         types[i]->id, lanes[types[i]->lane], types[i]->record.doc);
        print_fields(out, &types[i]->record);
        note_records(&types[i]->record, records, &record_count);
    }
    sl_strbuf_append(out, "\n## Records in lists\n");
    for (size_t i = 0; i < record_count; i++) {
        sl_strbuf_printf(out, "\n### %s\n\n%s.\n", records[i]->name, records[i]->doc);
        print_fields(out, records[i]);
    }
}

static void print_metrics(sl_strbuf *out) {
    static const struct {
        const char *name, *kind, *unit, *help;
    } rows[] = {
#define SL_METRIC(name, kind, unit, help) {#name, #kind, unit, help},
#include "runtime/metrics.def"
#undef SL_METRIC
    };
    sl_strbuf_append(out, "# Metrics\n\nMade from `runtime/metrics.def`. `--metrics FILE` writes "
                          "every node's at the end of a run: as JSON, or in\nPrometheus' text "
                          "format, with `starlane_` before each name and times in seconds.\n\n"
                          "| metric | kind | unit | |\n| --- | --- | --- | --- |\n");
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        sl_strbuf_printf(out, "| `%s` | %s | %s | %s |\n", rows[i].name, rows[i].kind, rows[i].unit,
                         rows[i].help);
}

int main(int argc, char **argv) {
    sl_strbuf page;
    sl_strbuf_init(&page, PAGE_BYTES);
    const char *name = argc == 2 && protocols[0] ? argv[1] : "";
    if (strcmp(name, "options") == 0)
        sl_config_markdown(&page);
    else if (strcmp(name, "messages") == 0)
        print_messages(&page);
    else if (strcmp(name, "metrics") == 0)
        print_metrics(&page);
    else
        return fprintf(stderr, "usage: reference options|messages|metrics\n"), 2;
    if (sl_strbuf_err(&page) != SL_OK)
        return fprintf(stderr, "%s\n", sl_err_detail()), 1;
    fwrite(page.data, 1, page.length, stdout);
    sl_strbuf_fini(&page);
    return fflush(stdout) == 0 ? 0 : 1;
}
