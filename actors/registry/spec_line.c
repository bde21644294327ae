/* Finds the line of a field in JSON that jansson has already accepted. */
#include "actors/registry/spec_reader.h"

#include <stdlib.h>
#include <string.h>

typedef struct scanner {
    const char *at, *end;
} scanner;

/* Never past the end: the text ought to be well formed, but a read beyond it would be worse than a
 * wrong line. */
static void advance(scanner *scan) {
    scan->at += scan->at < scan->end;
}

static void skip_blank(scanner *scan) {
    while (scan->at < scan->end && *scan->at && strchr(" \t\r\n", *scan->at))
        scan->at++;
}

static void skip_string(scanner *scan) {
    for (advance(scan); scan->at < scan->end && *scan->at != '"'; advance(scan))
        if (*scan->at == '\\')
            advance(scan);
    advance(scan);
}

/* One value and the blanks after it; nesting is counted, not recursed into. */
static void skip_value(scanner *scan) {
    int depth = 0;
    do {
        skip_blank(scan);
        if (scan->at >= scan->end)
            return;
        if (*scan->at == '"')
            skip_string(scan);
        else {
            depth += *scan->at == '{' || *scan->at == '[';
            depth -= *scan->at == '}' || *scan->at == ']';
            advance(scan);
        }
    } while (depth > 0 || (scan->at < scan->end && !strchr(",]} \t\r\n:", *scan->at)));
    skip_blank(scan);
}

/* From an object's `{` to the value of `key`. */
static bool enter_key(scanner *scan, const char *key, size_t length) {
    advance(scan);
    for (skip_blank(scan); scan->at < scan->end && *scan->at == '"'; skip_blank(scan)) {
        const char *name = scan->at + 1;
        skip_string(scan);
        bool same = scan->at > name && (size_t)(scan->at - 1 - name) == length &&
                    memcmp(name, key, length) == 0;
        skip_blank(scan);
        advance(scan); /* the colon */
        skip_blank(scan);
        if (same)
            return true;
        skip_value(scan);
        advance(scan); /* a comma, or the end */
    }
    return false;
}

/* From an array's `[` to its element `index`. */
static bool enter_index(scanner *scan, size_t index) {
    advance(scan);
    skip_blank(scan);
    for (; index > 0 && scan->at < scan->end && *scan->at != ']'; index--) {
        skip_value(scan);
        advance(scan);
        skip_blank(scan);
    }
    return index == 0 && scan->at < scan->end;
}

/* One step of the path: ".key", "key" or "[3]"; NULL when it is not there. */
static const char *enter(scanner *scan, const char *path) {
    if (scan->at >= scan->end)
        return NULL;
    if (*path == '[') {
        char *rest;
        size_t index = strtoul(path + 1, &rest, 10);
        return *scan->at == '[' && enter_index(scan, index) && *rest ? rest + 1 : NULL;
    }
    path += *path == '.';
    size_t length = strcspn(path, ".[");
    return *scan->at == '{' && enter_key(scan, path, length) ? path + length : NULL;
}

unsigned sl_spec_line(const char *text, size_t length, const char *path) {
    scanner scan = {text, text + length};
    skip_blank(&scan);
    const char *found = scan.at;
    while (path && *path) {
        path = enter(&scan, path);
        if (path)
            found = scan.at;
    }
    unsigned line = 1;
    for (const char *at = text; at < found && at < scan.end; at++)
        line += *at == '\n';
    return line;
}
