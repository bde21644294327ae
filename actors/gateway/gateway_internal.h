/* The gateway from inside: gateway.c (visitors and what they say), gateway_tasks.c (the way to the
 * scheduler and back), gateway_objects.c (objects), gateway_commands.c, gateway_output.c and
 * gateway_bound.c (commands, what they write, and how much of it), gateway_actors.c and
 * gateway_letters.c (user actors), gateway_out.c (the way to the client), gateway_admin.c and
 * gateway_drain.c (who runs the network, and its end), gateway_check.c (what the pool does: keys,
 * the audit log). All on the loop's thread but what a job runs. */
#ifndef SL_GATEWAY_INTERNAL_H
#define SL_GATEWAY_INTERNAL_H

#include "actors/gateway/gateway.h"
#include "actors/gateway/gateway_msgs.h"
#include "actors/gateway/gateway_stream.h"
#include "actors/gateway/guesses.h"
#include "runtime/strbuf.h"

enum {
    TASKS_MOST = 65536,   /* of one connection under way */
    OBJECTS_MOST = 65536, /* of one connection */
    OBJECT_BUCKETS = 256,
    ACTORS_MOST = 16384,          /* of a project */
    GONE_MOST = 256,              /* of a session, of which it is known why they have ended */
    ACTOR_BUCKETS = 4096,         /* of all */
    LETTERS_MOST = 16384,         /* of a session that are not handled, and … */
    LETTER_BYTES_MOST = 16 << 20, /* … what they hold: then it waits */
    ENTRIES_MOST = 131072,        /* commands of a project that have not ended, or are kept */
    ENTRY_BUCKETS = 4096,         /* of all */
    BUCKETS = 1024,               /* of a session's tasks */
    CHUNK_BYTES = 262144,         /* of results in one message, about */
    RESULT_MOST_BYTES = 64 << 20, /* of data beside a result */
    OUT_MOST_BYTES = 256 << 20,   /* of results that a client does not take */
    QUEUE_MOST = 32768,           /* tasks that the scheduler does not take: then clients wait */
    UNACCEPTED_MOST = 16384,      /* a power of two */
    SUBMIT_MOST = 1024,
    SUBMIT_BYTES = 262144
};

typedef struct gw_project {
    struct gw_project *next;
    char name[SL_PROJECT_BYTES];
    sl_quota quota;
    uint64_t running, ended, failed, held_bytes;
    uint32_t actors;
    uint64_t resting;       /* of running: actors, and who waits for the end of one */
    uint64_t begun;         /* commands */
    uint64_t entries;       /* commands that are known */
    uint64_t output_bytes;  /* of detached ones that have ended */
    uint64_t written_bytes; /* of all, as last seen */
    double ucu_s;
    uint32_t clients;
    bool draining; /* the network ends: it takes no more tasks */
} gw_project;

typedef enum gw_stage { GW_NEW, GW_CHECKING, GW_OPEN, GW_CLOSING } gw_stage;

/* A command, or a detached call, from its submission until nobody may ask for it any more. */
typedef struct gw_entry {
    struct gw_entry *next;          /* in its bucket, by id */
    struct gw_entry *chain;         /* in its session's, by number */
    struct gw_entry *newer, *older; /* of those that are detached and over, in that order */
    uint64_t id;
    gw_project *project;
    struct gw_session *session; /* that submitted it; NULL once that is over */
    struct gw_task *task;       /* NULL once it has ended */
    gateway_ended ended;        /* its numbers */
    char *message;
    bool detached, begun, over; /* over: ended, and its output looked at */
    uint64_t over_ns;
    bool raw;        /* of a call: its output, … */
    uint8_t *output; /* … which is kept here, is bytes rather than a value */
    size_t output_bytes;
    sl_blob *data;                                  /* beside it */
    struct gw_task *collectors;                     /* who wait for it */
    struct gw_entry *next_watched, *before_watched; /* of those whose output grows */
    bool watched;
    bool full;            /* it wrote more than it may: it is ended, and cut to this: */
    uint64_t written[2];  /* output and errors, as last seen: counted in its project */
    uint64_t *dependents; /* ids of commands that come after it */
    uint32_t dependent_count, dependent_room;
} gw_entry;

/* An object of a client: while it has it, or tasks that it submitted do. */
typedef struct gw_object {
    struct gw_object *chain; /* in its session's bucket */
    uint64_t number;
    gw_project *project;
    void *object;        /* the store's */
    uint64_t bytes, got; /* of it; and, of one that is being put, so far */
    uint32_t references;
    bool whole;
} gw_object;

/* Those that a task, a letter or an actor has among its arguments. */
typedef struct gw_named {
    gw_object **objects;
    uint32_t count;
    bool fetches; /* the data of some have to be fetched where they are needed */
} gw_named;

/* An actor, from its spawn until the network says that it has ended, and some time longer: who asks
 * it then is told why. */
typedef struct gw_actor {
    sl_gateway_word end;            /* first */
    struct gw_actor *chain;         /* in its bucket, by number */
    struct gw_actor *name_chain;    /* in its bucket, by name, if it has one */
    struct gw_actor *next, *before; /* of its session's */
    struct gw_session *session;     /* that spawned it; NULL once that is over: it is ending */
    gw_project *project;
    struct gw_task *watchers; /* who wait for its end */
    sl_gateway_ref ref;
    uint64_t held_bytes; /* arguments */
    gw_named objects;
    bool has_name, over;
    char name[128];
} gw_actor;

/* A message to an actor, until it is handled, or answered. */
typedef struct gw_letter {
    sl_gateway_word word; /* first */
    struct gw_letter *next, *before;
    struct gw_session *session; /* NULL once that is over */
    gw_project *project;
    struct gw_task *task; /* that waits for the answer; NULL: none does */
    bool begins;          /* its actor, and that is what is answered */
    sl_gateway_ref ref;
    uint64_t bytes;
    gw_named objects;
} gw_letter;

/* Asking an actor is one too, which the scheduler does not see. */
typedef struct gw_task {
    struct gw_task *next;       /* in the queue */
    struct gw_task *chain;      /* in its session's bucket */
    struct gw_session *session; /* NULL once that has gone */
    gw_project *project;
    uint64_t number;
    gateway_task wish; /* its numbers; texts and bytes have gone */
    uint8_t *payload;
    uint32_t payload_bytes;
    uint64_t held_bytes;
    sl_blob *data;
    gw_named objects;
    bool asks, watches; /* an actor: its letter is … */
    gw_letter *letter;  /* … this, until the answer, … */
    gw_actor *watched;  /* … or it waits for this one's end, … */
    gw_entry *collects; /* … or for this call's */
    gw_entry *entry;    /* of a command; NULL for a call */
    uint32_t pending;   /* commands that it comes after and that have not ended */
    uint8_t end_status; /* sl_task_status: it is about to end so, without having run */
    uint32_t slot;
    bool sent, accepted, ended, cancelled;
    char region[64], function[256];
    uint8_t *among;
    uint32_t among_bytes;
} gw_task;

typedef struct gw_session {
    struct gw_session *next, *before;
    sl_visitor *visitor;                 /* NULL: it has left, or is cut off */
    char name[SL_GATEWAY_SESSION_BYTES]; /* secret */
    uint64_t lost_ns;                    /* since when it is cut off */
    bool bye;                            /* it leaves for good */
    gw_stage stage;
    char address[SL_GUESSER_BYTES];
    char key_id[SL_KEY_NAME_BYTES];
    gw_project *project; /* once OPEN */
    uint32_t scopes;
    uint64_t last_number;
    char module_task[256]; /* called last, and written down */
    uint32_t running;
    bool checking; /* a job knows it */
    bool paused, blocked, touched;
    bool asks_who; /* who_number waits for the roster */
    uint64_t who_number;
    struct gw_session *next_touched;
    gw_task **buckets;   /* BUCKETS of them */
    gw_entry **entries;  /* BUCKETS of them */
    uint64_t serial;     /* tells sessions apart */
    uint32_t logs;       /* requests under way */
    uint32_t orders;     /* likewise */
    gw_object **objects; /* OBJECT_BUCKETS of them */
    uint32_t object_count;
    uint64_t last_object, own_object; /* numbers */
    gw_actor *actors;
    gw_actor *gone, *gone_last; /* those that have ended, the newest first */
    uint32_t gone_count;
    uint32_t letters; /* not handled */
    uint64_t letter_bytes;
    uint64_t refusals; /* of letters */
    uint32_t said;     /* letters that the audit log has not heard of */
    uint8_t *results;  /* records that wait for the end of the turn, behind room for their head */
    size_t results_bytes, results_room;
    uint32_t results_count;
    sl_stream_out out;
    sl_stream_in in;
} gw_session;

typedef struct gateway {
    sl_actor *self;
    sl_gateway_options options;
    sl_guesses guesses;
    gw_session *sessions;
    gw_session *touched; /* have results to be sent */
    gw_project *projects;
    gw_task *queue_head, **queue_tail;
    uint32_t queue_count;
    bool blocked; /* by the scheduler */
    gw_task **slots;
    uint32_t *free_slots;
    uint32_t slot_count, free_count;
    gw_task **unaccepted; /* a ring */
    uint32_t unaccepted_first, unaccepted_count;
    struct scheduler_task *batch;
    struct gw_fetch *fetches; /* under way */

    gw_actor **actors, **names; /* ACTOR_BUCKETS of them */
    uint8_t name_key[16];       /* of the hash */
    gw_letter *letters;

    gw_entry **entries; /* ENTRY_BUCKETS of them */
    gw_entry *oldest, *newest;
    gw_entry *watched;
    bool looking, will_look; /* at what they wrote; a timer of that runs */
    bool disk_is_full;       /* nearly */
    uint32_t looks;          /* at the output of commands that have ended, under way */
    bool draining, hanging_up;
    uint64_t drain_ns, hang_up_ns; /* until when */
    uint64_t last_id, last_serial;
    gw_task *ending;         /* will not run */
    bool stopping;           /* its pools may be gone */
    gateway_member *members; /* nodes that the registry has spoken of */
    uint32_t member_count;
    gateway_node *known; /* what the roster said last; one allocation, with what it points to */
    uint32_t known_count;
    uint64_t known_ns; /* when; 0: never */
    bool gathering;    /* it has been asked */

    struct gw_check *checks, **checks_tail; /* one is with the pool at a time */
    bool check_busy;
    sl_strbuf audit;
    bool audit_busy;
    uint64_t audit_lost;
} gateway;

/* gateway.c */
void gw_refuse(gateway *gw, gw_session *session, const char *format, ...) SL_PRINTF(3, 4);
void gw_drop_session(gateway *gw, gw_session *session);
/* It is over: its tasks are taken back. */
void gw_end_session(gateway *gw, gw_session *session);
/* Ends those that were cut off and have not come back in time, or keep too much. */
void gw_look_after_lost(gateway *gw);
/* The session of that serial number, or NULL. */
gw_session *gw_session_of(const gateway *gw, uint64_t serial);
void gw_copy_text(char *to, size_t room, sl_text text);
/* Pauses it or goes on, as all that concerns it says. */
void gw_pace(gateway *gw, gw_session *session);

/* gateway_tasks.c */
sl_err gw_tasks_init(gateway *gw) SL_CHECKED;
void gw_tasks_fini(gateway *gw);
void gw_take_submit(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_cancel(gateway *gw, gw_session *session, const gateway_cancel *cancel);
void gw_cancel_all(gateway *gw, gw_session *session); /* it has left */
void gw_submit_queue(gateway *gw);
struct scheduler_accepted;
struct scheduler_done;
void gw_on_accepted(gateway *gw, const void *accepted);
void gw_on_done(gateway *gw, const void *done);

/* gateway_may.c. NULL: it may call that function. */
const char *gw_may_call(gateway *gw, gw_session *session, const gateway_task *wish);
/* NULL: it may have one more task, of so many bytes; `scope` is that it takes. And the same for
 * what is no task, and counts by its bytes alone. */
const char *gw_over_quota(const gw_session *session, uint32_t scope, uint64_t bytes);
const char *gw_over_bytes(const gw_session *session, uint32_t scope, uint64_t bytes);
/* A task of the session's: counted, and found by its number. */
void gw_enter_task(gw_session *session, gw_task *task);
/* It never was one: nobody is told. */
void gw_leave_task(gw_task *task);
void gw_queue_task(gateway *gw, gw_task *task);
void gw_free_task(gateway *gw, gw_task *task);
void gw_cancel_task(gateway *gw, gw_task *task);
/* Ends those that will not run. */
void gw_settle(gateway *gw);
void gw_end_soon(gateway *gw, gw_task *task, uint8_t status);
/* The end of a task whose result has been fetched. */
void gw_end_fetched(gateway *gw, gw_task *task, gateway_result *result);
/* It has ended, well or not: the client is told, if it is still there. */
void gw_end_task(gateway *gw, gw_task *task, gateway_result *result, sl_blob *data);

/* gateway_commands.c */
sl_err gw_commands_init(gateway *gw) SL_CHECKED;
void gw_commands_fini(gateway *gw);
void gw_take_run(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_look(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_forget(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
gw_entry *gw_make_entry(gateway *gw, gw_session *session, uint64_t number, bool detached);
/* Those that come after it may run now, or never will. */
void gw_release_dependents(gateway *gw, gw_entry *entry);
/* Kept until its time is over; those that are too much go. */
void gw_keep_entry(gateway *gw, gw_entry *entry);
void gw_cancel_by_id(gateway *gw, gw_session *session, uint64_t id);
void gw_release_entries(gateway *gw, gw_session *session); /* it is over */
gw_entry *gw_find_entry(const gateway *gw, uint64_t id);
/* May the session ask for it? */
bool gw_may_see(const gw_session *session, const gw_entry *entry);
struct scheduler_outcome;
void gw_note_outcome(gw_entry *entry, const void *outcome);
void gw_command_ended(gateway *gw, gw_entry *entry, const gateway_result *result);
void gw_on_began(gateway *gw, const void *began);
void gw_forget_old(gateway *gw);
typedef struct gw_heads gw_heads;
/* What it has written was looked at; NULL: it wrote nothing. */
void gw_command_over(gateway *gw, gw_entry *entry, gw_heads *heads);
/* Drops the command of the project whose end is the longest ago, of those that are kept. False:
 * there is none. NULL: of any. */
bool gw_drop_oldest(gateway *gw, const gw_project *project);

/* gateway_calls.c: detached calls. The task has an entry, and its client is told by which id; it is
 * no part of the session any more. */
sl_err gw_detach(gateway *gw, gw_session *session, gw_task *task, bool raw) SL_CHECKED;
void gw_call_ended(gateway *gw, const gw_task *task, const gateway_result *result, sl_blob *data);
void gw_drop_result(gw_entry *entry);
void gw_take_collect(gateway *gw, gw_session *session, const sl_gateway_parts *parts);

/* gateway_output.c */
struct gw_heads {
    uint64_t out_bytes, err_bytes;
    uint32_t out_count, err_count;
    uint8_t out[SL_GATEWAY_HEAD_OF_OUTPUT], err[SL_GATEWAY_HEAD_OF_OUTPUT];
};
enum { GW_PATH_BYTES = 4096 };
/* Where the command's output (0) or its errors (1) are. */
void gw_output_path(const gateway *gw, uint64_t id, int stream, char path[GW_PATH_BYTES]);
/* gw_command_over() follows. */
void gw_look_at_output(gateway *gw, gw_entry *entry);
void gw_delete_output(gateway *gw, uint64_t id);
void gw_cut_output(gateway *gw, const gw_entry *entry); /* to what is counted of it */
void gw_cut_file(const char *path, uint64_t bytes);     /* any thread */
void gw_take_logs(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_on_output(gateway *gw, sl_event *event);

/* gateway_bound.c: how much commands write. */
void gw_watch(gateway *gw, gw_entry *entry); /* it has begun */
void gw_unwatch(gateway *gw, gw_entry *entry);
void gw_uncount_output(gw_entry *entry); /* it is forgotten */
void gw_look_at_disk(gateway *gw);
void gw_on_looked(gateway *gw, sl_event *event);
/* The end of a command that wrote so much: which is cut, and fails, if it was too much. */
void gw_bound_output(gateway *gw, gw_entry *entry, gw_heads *heads);
/* NULL: the project may run one more. */
const char *gw_no_room(const gateway *gw, const gw_project *project);

/* gateway_admin.c */
typedef struct gw_order gw_order;
void gw_take_order(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_order_run(gw_order *order, sl_key_store *keys, uint64_t now_s); /* on the pool */
void gw_order_ran(gateway *gw, gw_order *order, const sl_key_store *keys);
void gw_order_free(gw_order *order); /* NULL is fine */

/* gateway_drain.c: the end, once tasks have ended or their time has. */
void gw_drain(gateway *gw, uint64_t wait_ns);
void gw_drain_on(gateway *gw);

/* gateway_objects.c */
void gw_take_put(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_piece(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_read(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_release(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_release_objects(gateway *gw, gw_session *session); /* it has left */
/* Names the session's objects among the arguments, and keeps them; dropping is due on an error too.
 * SL_ERR_REFUSED: also when the data of some are to be fetched, and may not be. */
sl_err gw_name_arguments(gateway *gw, gw_session *session, uint8_t *arguments, size_t bytes,
                         const sl_blob *data, bool may_fetch, gw_named *named) SL_CHECKED;
/* Has the content of an object of the session be the task's large data. */
sl_err gw_take_data(gateway *gw, gw_session *session, gw_task *task, uint64_t number) SL_CHECKED;
void gw_drop_named(gateway *gw, gw_named *named);
/* An object that was returned to who does not want it any more. */
void gw_let_go(gateway *gw, sl_bytes output);
/* True when the outcome is an object, which is fetched first: gw_end_fetched() follows. */
bool gw_fetch_result(gateway *gw, gw_task *task, const gateway_result *result);
void gw_on_fetched(gateway *gw, sl_event *event);
/* One of the tasks that wait for that; nothing comes of it any more. NULL: there is none. */
gw_task *gw_forget_fetch(gateway *gw);

/* gateway_actors.c */
sl_err gw_actors_init(gateway *gw) SL_CHECKED;
void gw_actors_fini(gateway *gw);
void gw_take_spawn(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_take_find(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_release_actors(gateway *gw, gw_session *session); /* it is over */
void gw_on_actor_ended(gateway *gw, sl_event *event);
/* Ends it: nobody can reach it any more. And all of a project's, as its tasks are taken back: how
 * many. */
void gw_give_up_actor(gateway *gw, gw_actor *actor);
uint64_t gw_end_actors(gateway *gw, const gw_project *project);
/* One that the session may send to, which may have ended; NULL: there is none. */
gw_actor *gw_find_actor(const gateway *gw, const gw_session *session, const gateway_letter *letter);
/* An actor's first letter has been answered. */
void gw_began(gateway *gw, const gw_letter *letter);
void gw_free_word(sl_gateway_word *word);
sl_event gw_event_of(const gateway *gw, uint32_t kind); /* of a word */

/* gateway_letters.c */
void gw_take_letter(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
sl_err gw_tell_actor(gateway *gw, gw_session *session, const gateway_letter *body,
                     const gw_actor *actor, const sl_gateway_parts *parts) SL_CHECKED;
void gw_cancel_ask(gateway *gw, gw_task *task);
void gw_on_answered(gateway *gw, sl_event *event);
/* How many letters the session has sent since the last time, for the audit log. */
void gw_audit_letters(gateway *gw, gw_session *session);
/* Who waits for an answer is a task, if not the scheduler's. NULL when out of memory. */
gw_task *gw_enter_ask(gw_session *session, uint64_t number);
/* Numbers ascend, as those of tasks do. False: the session is refused. */
bool gw_take_number(gateway *gw, gw_session *session, uint64_t number);
void gw_answer(gateway *gw, gw_session *session, uint64_t number, sl_err err, const char *message,
               sl_bytes output);
sl_err gw_copy_data(const sl_gateway_parts *parts, sl_blob **data) SL_CHECKED;

/* gateway_nodes.c: who the nodes are. */
void gw_take_who(gateway *gw, gw_session *session, const sl_gateway_parts *parts);
void gw_on_roster(gateway *gw, const void *list);

/* gateway_out.c */
void gw_add_result(gateway *gw, gw_session *session, const gateway_result *result, sl_blob *data);
/* `data` goes behind the record; retained; may be NULL. */
void gw_send(gateway *gw, gw_session *session, sl_gateway_kind kind, const void *record,
             sl_blob *data);
void gw_send_out(gateway *gw, gw_session *session); /* what waits, as far as it goes */
void gw_send_touched(gateway *gw);
void gw_forget_out(gw_session *session);
/* At once, past what waits: no part of the session's messages. */
sl_err gw_say(gateway *gw, gw_session *session, sl_gateway_kind kind,
              const void *record) SL_CHECKED;
/* It is worth a look at the end of the turn. */
void gw_touch(gateway *gw, gw_session *session);

/* gateway_check.c. Event kinds of its own, after the door's. */
enum {
    GW_EVENT_CHECKED = VISIT_KINDS,
    GW_EVENT_WRITTEN,
    GW_EVENT_FETCHED,
    GW_EVENT_OUTPUT,
    GW_EVENT_LOOKED,
    GW_EVENT_ANSWERED,
    GW_EVENT_ACTOR_ENDED
};
enum { GW_TIMER_EACH_SECOND, GW_TIMER_LOOK, GW_TIMER_DRAIN };
sl_err gw_check_hello(gateway *gw, gw_session *session, const gateway_hello *hello) SL_CHECKED;
void gw_check_again(gateway *gw); /* do the keys of those that are here still hold? */
/* A job that has the keys to itself; when it has run, nobody else has them until gw_order_ran() has
 * returned. Takes the order if all is well. */
sl_err gw_check_order(gateway *gw, gw_order *order) SL_CHECKED;
void gw_on_checked(gateway *gw, sl_event *event);
void gw_check_fini(gateway *gw);

/* gateway_audit.c */
void gw_on_written(gateway *gw, sl_event *event);
void gw_audit_fini(gateway *gw);
/* A line of the audit log: who, what, and whether it went well. */
void gw_audit(gateway *gw, const gw_session *session, const char *what, const char *result,
              const char *format, ...) SL_PRINTF(5, 6);
/* The same of what nobody asked for. */
void gw_audit_of(gateway *gw, const gw_project *project, const char *what, const char *result,
                 const char *format, ...) SL_PRINTF(5, 6);

#endif
