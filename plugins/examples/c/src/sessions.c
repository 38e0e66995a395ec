/* `sessions`: rows of a key with less than a gap between them, given up once the gap has passed. The state is
 * the open sessions by time, more than one only while rows come out of order. */
#include "examples.h"

#include <stdlib.h>

static const ms_setting settings[] = {
    {"time", MS_STRING, "The timestamp column."},
    {"gap_ms", MS_INTEGER, "The gap, in milliseconds.", .min = 0, .max = 4294967295.0},
    {NULL},
};

/* Times in microseconds since the epoch. */
typedef struct session {
    int64_t start, end, count;
} session;

typedef struct sessions_state {
    size_t column;
    int64_t gap;
} sessions_state;

static void *open(ms_open *open) {
    sessions_state *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->column = ms_input(open, ms_config_text(open->config, "time"), MS_TIMESTAMP);
    self->gap = ms_config_integer(open->config, "gap_ms") * 1000;
    if (self->gap == 0) ms_fail("config.gap_ms is 0: every row would be a session");
    ms_output_field(open, ms_text_of("start"), MS_TIMESTAMP, false);
    ms_output_field(open, ms_text_of("end"), MS_TIMESTAMP, false);
    ms_output_field(open, ms_text_of("count"), MS_INT64, false);
    return self;
}

/* When a session is over, if nothing comes. */
static int64_t over(const sessions_state *self, const session *open) {
    return open->end > INT64_MAX - self->gap ? INT64_MAX : open->end + self->gap;
}

/* The state as sessions, with room for one more; to be freed. */
static session *read_state(const ms_key *key, size_t *count) {
    ms_text bytes = ms_key_state(key);
    *count = bytes.len / sizeof(session);
    session *open = malloc((*count + 1) * sizeof *open);
    if (open == NULL) ms_fail("there is no memory for %zu sessions", *count);
    if (open != NULL && *count > 0) memcpy(open, bytes.data, *count * sizeof *open);
    return open;
}

/* Adds a row to the open sessions, which it may join. */
static size_t add(const sessions_state *self, session *open, size_t count, int64_t at) {
    session joined = {at, at, 1};
    size_t kept = 0, place = 0;
    for (size_t i = 0; i < count; i++) {
        session one = open[i];
        if (over(self, &one) <= joined.start || over(self, &joined) <= one.start) {
            open[kept++] = one;
            continue;
        }
        joined.start = one.start < joined.start ? one.start : joined.start;
        joined.end = one.end > joined.end ? one.end : joined.end;
        joined.count += one.count;
    }
    while (place < kept && open[place].start < joined.start) place++;
    memmove(open + place + 1, open + place, (kept - place) * sizeof *open);
    open[place] = joined;
    return kept + 1;
}

static void on_row(void *opaque, ms_key *key, size_t row) {
    const sessions_state *self = opaque;
    const ms_column *time = &ms_key_rows(key)->columns[self->column];
    if (ms_is_null(time, row)) {
        ms_key_reject(key, row, "`%.*s` is null", (int)time->field->name.len, time->field->name.data);
        return;
    }
    size_t count;
    session *open = read_state(key, &count);
    if (open == NULL) return;
    count = add(self, open, count, time->as.int64[row]);
    ms_key_timer(key, over(self, &open[0]));
    ms_key_put(key, open, count * sizeof *open);
    free(open);
}

static void on_timer(void *opaque, ms_key *key, int64_t at) {
    const sessions_state *self = opaque;
    ms_clock clock = ms_now();
    /* The clock may be further than the timer. */
    int64_t now = clock.has_watermark && clock.watermark > at ? clock.watermark : at;
    size_t count, kept = 0;
    session *open = read_state(key, &count);
    if (open == NULL) return;
    for (size_t i = 0; i < count; i++) {
        if (over(self, &open[i]) > now) {
            open[kept++] = open[i];
            continue;
        }
        ms_output *output = ms_key_emit(key);
        ms_push_timestamp(ms_set(output, 0), open[i].start);
        ms_push_timestamp(ms_set(output, 1), open[i].end);
        ms_push_int64(ms_set(output, 2), open[i].count);
    }
    if (kept == 0) {
        ms_key_drop(key);
    } else {
        ms_key_timer(key, over(self, &open[0]));
        ms_key_put(key, open, kept * sizeof *open);
    }
    free(open);
}

const ms_operator sessions = {
    .name = "sessions",
    .kind = MS_KEYED,
    .summary = "One row for each session of a key: rows with less than a gap of time between them.",
    .settings = settings,
    .open = open,
    .on_row = on_row,
    .on_timer = on_timer,
};
