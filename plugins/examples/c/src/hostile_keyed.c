/* `hostile-keyed`: what a keyed operator can do wrong, for tests of host and kit. Its state is the number
 * of rows of the key. */
#include "examples.h"

#include <assert.h>

static const char *const deeds[] = {"nothing", "throw", "throw-timer", "null", "overflow", NULL};

static const ms_setting settings[] = {
    {"do", MS_STRING, "What it does.", .choices = deeds},
    {"column", MS_STRING, "The text column; `throw` waits for `bad` in it."},
    {"time", MS_STRING, "The timestamp column."},
    {NULL},
};

typedef struct hostile_keyed_self {
    ms_text deed;
    size_t column, time;
} hostile_keyed_self;

static void *open(ms_open *open) {
    hostile_keyed_self *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->deed = ms_config_text(open->config, "do");
    self->column = ms_input(open, ms_config_text(open->config, "column"), MS_UTF8);
    self->time = ms_input(open, ms_config_text(open->config, "time"), MS_TIMESTAMP);
    ms_output_field(open, ms_text_of("n"), MS_INT64, false);
    return self;
}

static void set_timer(ms_key *key, const ms_column *time, size_t row) {
    if (!ms_is_null(time, row) && time->as.int64[row] <= INT64_MAX - 1000) ms_key_timer(key, time->as.int64[row] + 1000);
}

static void on_row(void *opaque, ms_key *key, size_t row) {
    const hostile_keyed_self *self = opaque;
    const ms_batch *rows = ms_key_rows(key);
    assert(!ms_text_is(self->deed, "throw") || !is_bad(rows, row, self->column));
    uint64_t seen = 0;
    ms_text state = ms_key_state(key);
    if (state.data != NULL) memcpy(&seen, state.data, sizeof seen);
    seen++;
    ms_key_put(key, &seen, sizeof seen);
    ms_builder *builder = ms_set(ms_key_emit(key), 0);
    if (ms_text_is(self->deed, "null")) {
        ms_push_null(builder);
    } else {
        ms_push_uint64(builder, ms_text_is(self->deed, "overflow") ? (uint64_t)1 << 63 : seen);
    }
    if (ms_text_is(self->deed, "throw-timer")) set_timer(key, &rows->columns[self->time], row);
}

static void on_timer(void *self, ms_key *key, int64_t at) { assert(!"the timer of `hostile-keyed`"); }

const ms_operator hostile_keyed = {
    .name = "hostile-keyed",
    .kind = MS_KEYED,
    .summary = "Does wrong what a keyed operator can do wrong.",
    .settings = settings,
    .open = open,
    .on_row = on_row,
    .on_timer = on_timer,
};
