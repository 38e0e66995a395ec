/* Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets them
 * with the rows of the key, and again when the timer is due. */
#include "millstream.h"

static const ms_setting settings[] = {
    {"time", MS_STRING, "The timestamp column."},
    {"after_ms", MS_INTEGER, "How long, in milliseconds.", .min = 0, .max = 4294967295.0},
    {NULL},
};

typedef struct silent_self {
    size_t column;
    int64_t after;
} silent_self;

static void *open(ms_open *open) {
    silent_self *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->column = ms_input(open, ms_config_text(open->config, "time"), MS_TIMESTAMP);
    self->after = ms_config_integer(open->config, "after_ms") * 1000;
    /* What comes behind the columns of the key. */
    ms_output_field(open, ms_text_of("since"), MS_TIMESTAMP, false);
    return self;
}

/* The state of a key is the time of its last row. */
static int64_t last_of(const ms_key *key, int64_t otherwise) {
    ms_text state = ms_key_state(key);
    if (state.data != NULL) memcpy(&otherwise, state.data, sizeof otherwise);
    return otherwise;
}

static void on_row(void *opaque, ms_key *key, size_t row) {
    const silent_self *self = opaque;
    const ms_column *time = &ms_key_rows(key)->columns[self->column];
    if (ms_is_null(time, row)) {
        ms_key_reject(key, row, "it has no time");
        return;
    }
    int64_t at = time->as.int64[row], last = last_of(key, at);
    last = at > last ? at : last;
    ms_key_put(key, &last, sizeof last);
    ms_key_timer(key, last + self->after);
}

static void on_timer(void *self, ms_key *key, int64_t at) {
    ms_output *output = ms_key_emit(key);
    ms_push_timestamp(ms_set(output, 0), last_of(key, at));
    /* Nothing is kept of a silent key. */
    ms_key_drop(key);
}

static const ms_operator silent = {
    .name = "silent",
    .kind = MS_KEYED,
    .summary = "Keys without rows for a while.",
    .settings = settings,
    .open = open,
    .on_row = on_row,
    .on_timer = on_timer,
};

MS_PLUGIN("{{name}}", "0.1.0", "Silence.", &silent);
