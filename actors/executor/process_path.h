/* Where a command's program is, looked up as a shell would but in the command's own PATH. */
#ifndef SL_ACTORS_EXECUTOR_PROCESS_PATH_H
#define SL_ACTORS_EXECUTOR_PROCESS_PATH_H

#define SL_PROCESS_PATH_MAX_BYTES 4096

/* `name` with a slash is the path itself, else the first executable regular file of that name in
 * `path` (colon-separated, an empty part is the working directory; NULL: the usual folders).
 * Returns 0 and writes `found`, or an errno: EACCES when only files that may not be executed were
 * found, EISDIR for a directory, ENOENT, ENAMETOOLONG. */
int sl_process_find_program(const char *name, const char *path,
                            char found[SL_PROCESS_PATH_MAX_BYTES]);

#endif
