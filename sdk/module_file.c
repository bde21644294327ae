/* Design notes
 * Everything that is read lies at an offset that was held against the size first, and is copied out
 * before it is looked at: the bytes may lie at any address. Where the file says a thing twice (a
 * table of sections, a second dynamic section) the loader's view, the program headers, is taken. */
#include "sdk/module_file.h"

#include <elf.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define OWNER         "Starlane"
#define ADDRESS_MOST  (UINT64_C(1) << 47)
#define MEMORY_MOST   ((uint64_t)SL_MODULE_MEMORY_MOST_GIB << 30)
#define DESC_BYTES    (sizeof(sl_task_note) - offsetof(sl_task_note, abi))
#define DYNAMIC_MOST  4096 /* entries */
#define PAGE_MOST     (UINT64_C(1) << 30)
#define TASKS_AT_ONCE 16

_Static_assert(sizeof(sl_task_note) % 4 == 0 && offsetof(sl_task_note, abi) == 24,
               "a note is a head, the owner's name and the task");

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#elif defined(__powerpc64__)
#define MACHINE EM_PPC64
#elif defined(__riscv)
#define MACHINE EM_RISCV
#else
#define MACHINE EM_NONE
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DATA_ORDER ELFDATA2LSB
#else
#define DATA_ORDER ELFDATA2MSB
#endif

typedef struct reader {
    const uint8_t *bytes;
    uint64_t size;
    Elf64_Ehdr head;
    Elf64_Phdr segments[SL_MODULE_SEGMENTS_MOST];
    uint32_t room; /* of file->tasks */
    sl_module_file *file;
} reader;

static sl_err bad(const char *what) {
    return sl_fail(SL_ERR_DECODE, "no module: %s", what);
}

static bool inside(uint64_t offset, uint64_t bytes, uint64_t size) {
    return offset <= size && bytes <= size - offset;
}

/* ---- the head ---- */

static sl_err check_ident(const unsigned char *ident) {
    if (memcmp(ident, ELFMAG, SELFMAG) != 0)
        return bad("it is no ELF file");
    if (ident[EI_CLASS] != ELFCLASS64)
        return bad("it is not for machines of 64 bits");
    if (ident[EI_DATA] != DATA_ORDER)
        return bad("it is for machines of another byte order");
    if (ident[EI_VERSION] != EV_CURRENT)
        return bad("an ELF file of another version");
    if (ident[EI_OSABI] != ELFOSABI_NONE && ident[EI_OSABI] != ELFOSABI_GNU)
        return bad("it is for another system");
    return SL_OK;
}

static sl_err read_head(reader *r) {
    Elf64_Ehdr *head = &r->head;
    if (r->size < sizeof *head)
        return bad("it is shorter than the head of an ELF file");
    if (r->size > SL_MODULE_MOST_BYTES)
        return bad("it is longer than 256 MiB");
    memcpy(head, r->bytes, sizeof *head);
    SL_TRY(check_ident(head->e_ident));
    if (head->e_type != ET_DYN)
        return bad("it is no shared object (link it with -shared)");
    if (head->e_version != EV_CURRENT || head->e_ehsize != sizeof *head)
        return bad("an ELF head that cannot be");
    if (head->e_phentsize != sizeof(Elf64_Phdr) || !head->e_phnum ||
        head->e_phnum > SL_MODULE_SEGMENTS_MOST)
        return bad("a table of segments that cannot be");
    if (!inside(head->e_phoff, (uint64_t)head->e_phnum * sizeof(Elf64_Phdr), r->size))
        return bad("its table of segments is beyond its end");
    if (head->e_shnum &&
        (head->e_shentsize != sizeof(Elf64_Shdr) ||
         !inside(head->e_shoff, (uint64_t)head->e_shnum * sizeof(Elf64_Shdr), r->size)))
        return bad("its table of sections is beyond its end: is it cut?");
    memcpy(r->segments, r->bytes + head->e_phoff, head->e_phnum * sizeof(Elf64_Phdr));
    r->file->machine = head->e_machine;
    return SL_OK;
}

/* ---- what is to be mapped ---- */

static bool is_power_of_two(uint64_t number) {
    return number && !(number & (number - 1));
}

static sl_err check_loaded(const Elf64_Phdr *segment, uint64_t *end, uint64_t *first) {
    uint64_t align = segment->p_align ? segment->p_align : 1;
    if (!is_power_of_two(align) || align > PAGE_MOST ||
        (segment->p_vaddr - segment->p_offset) % align)
        return bad("a segment that lies askew");
    if (segment->p_filesz > segment->p_memsz || segment->p_vaddr >= ADDRESS_MOST ||
        segment->p_memsz >= ADDRESS_MOST)
        return bad("a segment whose sizes cannot be");
    if (segment->p_vaddr < *end)
        return bad("segments that overlap");
    if ((segment->p_flags & PF_W) && (segment->p_flags & PF_X))
        return bad("a segment that can be both written and run");
    if (*first == UINT64_MAX)
        *first = segment->p_vaddr;
    *end = segment->p_vaddr + segment->p_memsz;
    return *end - *first <= MEMORY_MOST ? SL_OK : bad("it asks for more than 4 GiB of memory");
}

static sl_err check_segments(const reader *r) {
    uint64_t end = 0, first = UINT64_MAX;
    bool stack = false;
    for (uint32_t i = 0; i < r->head.e_phnum; i++) {
        const Elf64_Phdr *segment = &r->segments[i];
        if (segment->p_type != PT_GNU_STACK && segment->p_type != PT_NULL &&
            !inside(segment->p_offset, segment->p_filesz, r->size))
            return bad("a segment is beyond its end: is it cut?");
        if (segment->p_type == PT_LOAD)
            SL_TRY(check_loaded(segment, &end, &first));
        if (segment->p_type == PT_GNU_STACK)
            stack = !(segment->p_flags & PF_X);
    }
    if (first == UINT64_MAX)
        return bad("there is nothing in it to load");
    /* Loading it would make the stacks of the whole process such. */
    return stack ? SL_OK : bad("it asks for stacks that can be run (link it with -z noexecstack)");
}

/* ---- the dynamic section ---- */

/* Where in the file the range lies that is mapped to `address`. */
static bool find_loaded(const reader *r, uint64_t address, uint64_t bytes, uint64_t *offset) {
    for (uint32_t i = 0; i < r->head.e_phnum; i++) {
        const Elf64_Phdr *segment = &r->segments[i];
        if (segment->p_type != PT_LOAD || address < segment->p_vaddr ||
            !inside(address - segment->p_vaddr, bytes, segment->p_filesz))
            continue;
        *offset = segment->p_offset + (address - segment->p_vaddr);
        return true;
    }
    return false;
}

static bool is_loaded(const reader *r, uint64_t address, uint64_t bytes) {
    uint64_t offset;
    return find_loaded(r, address, bytes, &offset);
}

typedef struct facts {
    uint64_t strings, string_bytes, symbols;
    uint64_t name_most; /* of what is named by an offset into the strings */
    uint64_t init, init_bytes, relocations, relocation_bytes, plt, plt_bytes;
    uint64_t flags_1;
} facts;

static void note_entry(facts *f, const Elf64_Dyn *entry) {
    uint64_t value = entry->d_un.d_val;
    switch (entry->d_tag) {
    case DT_STRTAB:
        f->strings = value;
        break;
    case DT_STRSZ:
        f->string_bytes = value;
        break;
    case DT_SYMTAB:
        f->symbols = value;
        break;
    case DT_INIT_ARRAY:
        f->init = value;
        break;
    case DT_INIT_ARRAYSZ:
        f->init_bytes = value;
        break;
    case DT_RELA:
        f->relocations = value;
        break;
    case DT_RELASZ:
        f->relocation_bytes = value;
        break;
    case DT_JMPREL:
        f->plt = value;
        break;
    case DT_PLTRELSZ:
        f->plt_bytes = value;
        break;
    case DT_FLAGS_1:
        f->flags_1 = value;
        break;
    case DT_NEEDED:
    case DT_SONAME:
    case DT_RPATH:
    case DT_RUNPATH:
        f->name_most = value > f->name_most ? value : f->name_most;
        break;
    default:
        break;
    }
}

static sl_err check_facts(const reader *r, const facts *f) {
    if (f->flags_1 & DF_1_PIE)
        return bad("it is a program, no shared object (link it with -shared)");
    if (!f->string_bytes || !is_loaded(r, f->strings, f->string_bytes) ||
        !is_loaded(r, f->symbols, sizeof(Elf64_Sym)))
        return bad("its symbols are nowhere");
    if (f->name_most >= f->string_bytes)
        return bad("a name beyond its names");
    if ((f->init_bytes && !is_loaded(r, f->init, f->init_bytes)) ||
        (f->relocation_bytes && !is_loaded(r, f->relocations, f->relocation_bytes)) ||
        (f->plt_bytes && !is_loaded(r, f->plt, f->plt_bytes)))
        return bad("a table of its dynamic section is nowhere");
    return SL_OK;
}

static sl_err check_dynamic(const reader *r) {
    const Elf64_Phdr *dynamic = NULL;
    facts f = {.flags_1 = 0};
    Elf64_Dyn entry = {.d_tag = DT_DEBUG};
    for (uint32_t i = 0; i < r->head.e_phnum; i++)
        if (r->segments[i].p_type == PT_DYNAMIC)
            dynamic = &r->segments[i];
    if (!dynamic)
        return bad("it has no dynamic section");
    uint64_t count = dynamic->p_filesz / sizeof entry, offset;
    if (count > DYNAMIC_MOST || !find_loaded(r, dynamic->p_vaddr, dynamic->p_filesz, &offset))
        return bad("a dynamic section that cannot be");
    for (uint64_t i = 0; i < count && entry.d_tag != DT_NULL; i++) {
        memcpy(&entry, r->bytes + offset + i * sizeof entry, sizeof entry);
        note_entry(&f, &entry);
    }
    return entry.d_tag == DT_NULL ? check_facts(r, &f) : bad("a dynamic section without its end");
}

/* ---- notes ---- */

static bool is_name(const char *name) {
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
    size_t length = strnlen(name, SL_TASK_NAME_BYTES);
    return length && length < SL_TASK_NAME_BYTES && strspn(name, letters) == length;
}

static bool is_region(const char *region) {
    size_t length = strnlen(region, SL_TASK_REGION_BYTES);
    for (size_t i = 0; i < length; i++)
        if ((unsigned char)region[i] < ' ' || region[i] == 0x7f)
            return false;
    return length < SL_TASK_REGION_BYTES;
}

static sl_err make_room(reader *r) {
    sl_module_file *file = r->file;
    if (file->task_count < r->room)
        return SL_OK;
    if (file->task_count == SL_MODULE_TASKS_MOST)
        return bad("it has more than 1024 tasks");
    uint32_t room = r->room ? 2 * r->room : TASKS_AT_ONCE;
    sl_module_file_task *tasks = realloc(file->tasks, room * sizeof *tasks);
    if (!tasks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the tasks of a module");
    file->tasks = tasks;
    r->room = room;
    return SL_OK;
}

static sl_err take_task(reader *r, const uint8_t *desc, uint64_t bytes) {
    sl_task_note note;
    if (bytes < sizeof note.abi)
        return bad("a task's note that is cut");
    memcpy(&note.abi, desc, sizeof note.abi);
    if (note.abi != SL_MODULE_ABI)
        return sl_fail(SL_ERR_DECODE,
                       "no module for this Starlane: it was built for version %u of its modules, "
                       "here it is %d; build it again",
                       note.abi, SL_MODULE_ABI);
    if (bytes != DESC_BYTES)
        return bad("a task's note that is of another length");
    memcpy((uint8_t *)&note + offsetof(sl_task_note, abi), desc, DESC_BYTES);
    if (note.task_bytes != sizeof(sl_task) || !is_name(note.name) ||
        !is_region(note.options.region))
        return bad("a task's note that cannot be");
    if (note.options.cpus < SL_NO_CPUS || !(note.options.ucu >= 0 && note.options.ucu < 1e12) ||
        !(note.options.timeout_s >= 0 && note.options.timeout_s < 1e9))
        return sl_fail(SL_ERR_DECODE, "no module: task %s has options that cannot be", note.name);
    SL_TRY(make_room(r));
    sl_module_file_task *task = &r->file->tasks[r->file->task_count++];
    memcpy(task->name, note.name, sizeof task->name);
    memcpy(task->region, note.options.region, sizeof task->region);
    task->options = (sl_task_options){.cpus = note.options.cpus,
                                      .gpus = note.options.gpus,
                                      .memory_bytes = note.options.memory_bytes,
                                      .ucu = note.options.ucu,
                                      .priority = note.options.priority,
                                      .retries = note.options.retries,
                                      .timeout_s = note.options.timeout_s,
                                      .brief = note.options.brief};
    return SL_OK;
}

static uint64_t padded(uint64_t bytes, uint64_t align) {
    return (bytes + align - 1) & ~(align - 1);
}

/* Notes of others, and what lies between them, are passed over as far as their lengths lead. */
static sl_err read_notes(reader *r, const Elf64_Phdr *segment) {
    uint64_t at = segment->p_offset, end = at + segment->p_filesz;
    uint64_t align = segment->p_align == 8 ? 8 : 4;
    Elf64_Nhdr head;
    while (end - at >= sizeof head) {
        memcpy(&head, r->bytes + at, sizeof head);
        uint64_t name = at + sizeof head;
        uint64_t desc = name + padded(head.n_namesz, align);
        if (!inside(desc, head.n_descsz, end))
            return bad("a note beyond the end of its segment");
        if (head.n_type == 1 && head.n_namesz == sizeof OWNER &&
            memcmp(r->bytes + name, OWNER, sizeof OWNER) == 0)
            SL_TRY(take_task(r, r->bytes + desc, head.n_descsz));
        at = desc + padded(head.n_descsz, align);
        if (at > end)
            break;
    }
    return SL_OK;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const sl_module_file_task *)a)->name, ((const sl_module_file_task *)b)->name);
}

static sl_err read_tasks(reader *r) {
    sl_module_file *file = r->file;
    for (uint32_t i = 0; i < r->head.e_phnum; i++)
        if (r->segments[i].p_type == PT_NOTE)
            SL_TRY(read_notes(r, &r->segments[i]));
    if (!file->task_count)
        return bad("it defines no task by SL_TASK()");
    qsort(file->tasks, file->task_count, sizeof *file->tasks, by_name);
    for (uint32_t i = 1; i < file->task_count; i++)
        if (by_name(&file->tasks[i - 1], &file->tasks[i]) == 0)
            return sl_fail(SL_ERR_DECODE, "no module: it has two tasks %s", file->tasks[i].name);
    return SL_OK;
}

/* ---- all of it ---- */

static sl_err read_all(reader *r) {
    SL_TRY(read_head(r));
    SL_TRY(check_segments(r));
    SL_TRY(check_dynamic(r));
    return read_tasks(r);
}

sl_err sl_module_file_read(const void *bytes, size_t size, sl_module_file *file) {
    reader r = {.bytes = bytes, .size = size, .file = file};
    *file = (sl_module_file){.tasks = NULL};
    sl_err err = read_all(&r);
    if (err != SL_OK)
        sl_module_file_fini(file);
    return err;
}

void sl_module_file_fini(sl_module_file *file) {
    free(file->tasks);
    *file = (sl_module_file){.tasks = NULL};
}

sl_err sl_module_file_copy(const sl_module_file *from, sl_module_file *file) {
    size_t bytes = from->task_count * sizeof *from->tasks;
    *file = *from;
    file->tasks = malloc(bytes);
    if (!file->tasks)
        return sl_fail(SL_ERR_NO_MEMORY, "no memory for the tasks of a module");
    memcpy(file->tasks, from->tasks, bytes);
    return SL_OK;
}

static const char *machine_name(uint16_t machine) {
    switch (machine) {
    case EM_386:
        return "x86 (32 bits)";
    case EM_X86_64:
        return "x86-64";
    case EM_ARM:
        return "Arm (32 bits)";
    case EM_AARCH64:
        return "AArch64";
    case EM_PPC64:
        return "POWER";
    case EM_RISCV:
        return "RISC-V";
    default:
        return "another machine";
    }
}

sl_err sl_module_file_fits_here(const sl_module_file *file) {
    if (file->machine == MACHINE)
        return SL_OK;
    return sl_fail(SL_ERR_INVALID, "the module was built for %s (ELF machine %u), this node is %s",
                   machine_name(file->machine), file->machine, machine_name(MACHINE));
}

sl_err sl_module_no_task(const sl_module_file *file, const char *name) {
    char has[400] = "";
    size_t length = 0;
    for (uint32_t i = 0; i < file->task_count && length < sizeof has - 140; i++)
        length += (size_t)snprintf(has + length, sizeof has - length, "%s%s", i ? ", " : "",
                                   file->tasks[i].name);
    return sl_fail(SL_ERR_NOT_FOUND, "the module has no task \"%.127s\"; it has %s", name, has);
}
