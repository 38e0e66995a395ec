/* `hostile`: all that an operator can do wrong, for tests of the host and of the kit. */
#include "examples.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const deeds[] = {"nothing", "throw",    "spin",       "grow",    "recurse", "fatal", "uneven",
                                    "null",    "overflow", "wrong-type", "tell",    NULL};

static const ms_setting settings[] = {
    {"do", MS_STRING, "What it does.", .choices = deeds},
    {"column", MS_STRING, "The text column; `throw` waits for `bad` in it."},
    {NULL},
};

typedef struct hostile_state {
    ms_text deed;
    size_t column;
} hostile_state;

static void *open(ms_open *open) {
    hostile_state *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->deed = ms_config_text(open->config, "do");
    self->column = ms_input(open, ms_config_text(open->config, "column"), MS_UTF8);
    if (ms_text_is(self->deed, "null")) {
        ms_output_field(open, ms_text_of("out"), MS_UTF8, false);
    } else if (ms_text_is(self->deed, "overflow") || ms_text_is(self->deed, "wrong-type")) {
        ms_output_field(open, ms_text_of("out"), MS_INT64, true);
    } else {
        ms_output_input(open);
    }
    return self;
}

bool is_bad(const ms_batch *batch, size_t row, size_t column) {
    ms_text text;
    return ms_row_text(batch, row, batch->schema->fields[column].name.data, &text) && ms_text_is(text, "bad");
}

static void grow(void) {
    for (;;) {
        volatile char *memory = malloc(1 << 20);
        if (memory == NULL) break;
        memory[0] = 1;
    }
    ms_fail("there is no more memory");
}

/* Volatile, so that no compiler knows that there is no end, and there is something to do after each call. */
static volatile size_t depth;

static size_t recurse(void) {
    depth++;
    if (depth == SIZE_MAX) return 0;
    return recurse() + depth;
}

static void fatal(void) {
    fputs("the end\n", stderr);
    abort();
}

static void uneven(const ms_batch *batch, size_t column, ms_output *output) {
    ms_builder *builder = ms_set(output, column);
    for (size_t row = 0; row + 1 < batch->rows; row++) ms_push_text(builder, "short", 5);
}

static void tell(const ms_batch *batch) {
    ms_log(MS_INFO, "%zu rows", batch->rows);
    ms_count("told", batch->rows);
    ms_observe("share", 0.5);
}

/* What is wrong is at the last row. */
static void wrong_column(ms_text deed, size_t rows, ms_builder *builder) {
    for (size_t row = 0; row < rows; row++) {
        bool last = row + 1 == rows;
        if (ms_text_is(deed, "overflow")) {
            ms_push_uint64(builder, last ? (uint64_t)1 << 63 : row);
        } else if (last && ms_text_is(deed, "null")) {
            ms_push_null(builder);
        } else {
            ms_push_text(builder, "text", 4);
        }
    }
}

static void process(void *opaque, const ms_batch *batch, ms_output *output) {
    const hostile_state *self = opaque;
    ms_text deed = self->deed;
    if (ms_text_is(deed, "null") || ms_text_is(deed, "overflow") || ms_text_is(deed, "wrong-type")) {
        wrong_column(deed, batch->rows, ms_set(output, 0));
        return;
    }
    if (ms_text_is(deed, "spin")) {
        for (volatile int turns = 0;; turns++) {
        }
    }
    if (ms_text_is(deed, "grow")) grow();
    if (ms_text_is(deed, "recurse")) recurse();
    if (ms_text_is(deed, "fatal")) fatal();
    if (ms_text_is(deed, "uneven")) uneven(batch, self->column, output);
    if (ms_text_is(deed, "tell")) tell(batch);
    for (size_t row = 0; row < batch->rows && ms_text_is(deed, "throw"); row++) {
        /* It says the file and the line on stderr, which the host's report carries. */
        assert(!is_bad(batch, row, self->column));
    }
    ms_keep(output);
}

const ms_operator hostile = {
    .name = "hostile",
    .kind = MS_TRANSFORM,
    .summary = "Does wrong what an operator can do wrong.",
    .settings = settings,
    .open = open,
    .process = process,
};
