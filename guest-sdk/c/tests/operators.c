/* Operators that use each part of the kit once, for its tests. */
#include "millstream.h"

#include <string.h>

static const char *const ways[] = {"rows", "skip", "twice", "forget", "beyond", "types", "tell", "reserve", NULL};
static const ms_setting part_settings[] = {{"name", MS_STRING, "A name."}, {"share", MS_NUMBER, "A share.", .min = 0, .max = 1}, {NULL}};
static const ms_setting settings[] = {
    {"way", MS_STRING, "What is tried.", .choices = ways},
    {"on", MS_BOOL, "Whether.", .optional = true, .fallback = "true"},
    {"names", MS_STRINGS, "Names.", .optional = true},
    {"parts", MS_OBJECTS, "Parts.", .optional = true, .items = part_settings},
    {"many", MS_INTEGER, "How many.", .optional = true, .fallback = "3"},
    {NULL},
};

static void *open(ms_open *open) {
    ms_text *way = ms_alloc(sizeof *way);
    if (way == NULL) return NULL;
    *way = ms_config_text(open->config, "way");
    ms_output_input(open);
    if (ms_text_is(*way, "types")) {
        ms_output_field(open, ms_text_of("i"), MS_INT32, true);
        ms_output_field(open, ms_text_of("f"), MS_FLOAT32, true);
        ms_output_field(open, ms_text_of("b"), MS_BOOLEAN, true);
        ms_output_field(open, ms_text_of("t"), MS_TIMESTAMP, true);
        ms_output_field(open, ms_text_of("z"), MS_BINARY, true);
    }
    if (ms_text_is(*way, "forget")) ms_output_field(open, ms_text_of("new"), MS_INT64, false);
    if (ms_text_is(*way, "tell")) {
        ms_log(MS_WARN, "%d names, %d parts, %d, %s", (int)ms_config_count(open->config, "names"),
               (int)ms_config_count(open->config, "parts"), (int)ms_config_integer(open->config, "many"),
               ms_config_boolean(open->config, "on") ? "on" : "off");
        ms_count("opened", 2);
        if (ms_config_count(open->config, "parts") > 0) {
            ms_observe("share", ms_config_number(ms_config_object_at(open->config, "parts", 0), "share"));
        }
    }
    return way;
}

/* A column of each type, with a null in every third row. */
static void types(const ms_batch *batch, ms_output *output) {
    for (size_t row = 0; row < batch->rows; row++) {
        size_t first = batch->schema->count;
        if (row % 3 == 2) {
            for (size_t i = 0; i < 5; i++) ms_push_null(ms_set(output, first + i));
            continue;
        }
        ms_push_int32(ms_set(output, first), -(int32_t)row);
        ms_push_float32(ms_set(output, first + 1), (float)row / 2);
        ms_push_boolean(ms_set(output, first + 2), row % 2 == 0);
        ms_push_timestamp(ms_set(output, first + 3), (int64_t)row);
        ms_push_text(ms_set(output, first + 4), "bytes", row % 6);
    }
}

static void process(void *self, const ms_batch *batch, ms_output *output) {
    ms_text way = *(ms_text *)self;
    uint32_t rows[] = {2, 0, 0, 1};
    if (ms_text_is(way, "rows")) {
        ms_keep_rows(output, rows, 4);
        return;
    }
    if (ms_text_is(way, "beyond")) rows[0] = 99, ms_keep_rows(output, rows, 1);
    if (ms_text_is(way, "types")) types(batch, output);
    for (size_t row = 0; row < batch->rows; row++) {
        ms_text text;
        bool there = ms_row_text(batch, row, "s", &text);
        if (ms_text_is(way, "skip") && !there) ms_skip(output, row);
        if (ms_text_is(way, "twice") && there) ms_reject(output, row, "%.*s", (int)text.len, text.data), ms_reject(output, row, "again");
    }
    ms_keep(output);
}

/* The longest text of a group: states that are bytes. */
static const ms_setting none[] = {{NULL}};

static void *open_longest(ms_open *open) {
    size_t *column = ms_alloc(sizeof *column);
    if (column == NULL) return NULL;
    *column = ms_input(open, ms_text_of("s"), MS_UTF8);
    ms_output_field(open, ms_text_of("longest"), MS_UTF8, true);
    return column;
}

static void take(ms_states *states, size_t i, ms_text text) {
    ms_text state = ms_state(states, i);
    if (text.data != NULL && (state.data == NULL || text.len > state.len)) ms_state_put(states, i, text.data, text.len);
}

static void accumulate(void *self, ms_states *states, const uint32_t *groups, const ms_batch *batch) {
    const ms_column *texts = &batch->columns[*(size_t *)self];
    for (size_t row = 0; row < batch->rows; row++) {
        if (!ms_is_null(texts, row)) take(states, groups[row], ms_get_text(texts, row));
    }
}

static void merge(void *self, ms_states *states, const ms_states *others) {
    for (size_t i = 0; i < ms_states_count(states); i++) take(states, i, ms_state(others, i));
}

static void finish(void *self, const ms_states *states, ms_output *output) {
    for (size_t i = 0; i < ms_states_count(states); i++) {
        ms_text state = ms_state(states, i);
        if (state.data == NULL) {
            ms_push_null(ms_set(output, 0));
        } else {
            ms_push_text(ms_set(output, 0), state.data, state.len);
        }
    }
}

/* How many rows: states of fixed width that can be taken out again. */
static void *open_count(ms_open *open) {
    ms_output_field(open, ms_text_of("count"), MS_INT64, false);
    return NULL;
}

static void count_rows(void *self, ms_states *states, const uint32_t *groups, const ms_batch *batch) {
    int64_t *counts = ms_states_fixed(states);
    for (size_t row = 0; counts != NULL && row < batch->rows; row++) counts[groups[row]]++;
}

static void add(ms_states *states, const ms_states *others, int64_t sign) {
    int64_t *counts = ms_states_fixed(states);
    const int64_t *more = ms_states_fixed(others);
    for (size_t i = 0; counts != NULL && more != NULL && i < ms_states_count(states); i++) counts[i] += sign * more[i];
}

static void merge_counts(void *self, ms_states *states, const ms_states *others) { add(states, others, 1); }
static void retract_counts(void *self, ms_states *states, const ms_states *others) { add(states, others, -1); }

static void finish_counts(void *self, const ms_states *states, ms_output *output) {
    const int64_t *counts = ms_states_fixed(states);
    for (size_t i = 0; counts != NULL && i < ms_states_count(states); i++) ms_push_int64(ms_set(output, 0), counts[i]);
}

/* Two columns, which are set where there is a row for them. */
static void *open_range(ms_open *open) {
    ms_output_field(open, ms_text_of("from"), MS_INT64, false);
    ms_output_field(open, ms_text_of("to"), MS_UTF8, false);
    return NULL;
}

static void finish_range(void *self, const ms_states *states, ms_output *output) {
    for (size_t i = 0; i < ms_states_count(states); i++) {
        ms_push_int64(ms_set(output, 0), 0);
        ms_push_text(ms_set(output, 1), "end", 3);
    }
}

static const ms_operator range = {.name = "range", .kind = MS_AGGREGATE, .summary = "Two columns.", .settings = none, .open = open_range,
                                  .state_size = sizeof(int64_t), .accumulate = count_rows, .merge = merge_counts, .finish = finish_range};
static const ms_operator count = {.name = "count", .kind = MS_AGGREGATE, .summary = "How many rows.", .settings = none, .open = open_count,
                                  .state_size = sizeof(int64_t), .accumulate = count_rows, .merge = merge_counts,
                                  .retract = retract_counts, .finish = finish_counts};
static const ms_operator tries = {.name = "tries", .kind = MS_TRANSFORM, .summary = "Tries the kit.", .settings = settings, .open = open, .process = process};
static const ms_operator longest = {.name = "longest", .kind = MS_AGGREGATE, .summary = "The longest text.", .settings = none, .open = open_longest,
                                    .accumulate = accumulate, .merge = merge, .finish = finish};

MS_PLUGIN("kit-tests", "0.1.0", "Tries the kit.", &tries, &longest, &count, &range);
