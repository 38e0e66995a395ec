/* `hostile`: all that an operator can do wrong, for tests of the host and of the kit. */
#include "examples.h"

#include <assert.h>
#include <stdlib.h>

static const char *const deeds[] = {"nothing", "throw", "spin", "grow", "uneven", "null", "overflow", "wrong-type", NULL};

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

static void throw_at_bad(const ms_column *column) {
    for (size_t row = 0; row < column->rows; row++) {
        /* It says the file and the line on stderr, which the host's report carries. */
        assert(ms_is_null(column, row) || !ms_text_is(ms_get_text(column, row), "bad"));
    }
}

static void grow(void) {
    for (;;) {
        volatile char *memory = malloc(1 << 20);
        if (memory == NULL) break;
        memory[0] = 1;
    }
    ms_fail("there is no more memory");
}

static void process(void *opaque, const ms_batch *batch, ms_output *output) {
    const hostile_state *self = opaque;
    const ms_column *column = &batch->columns[self->column];
    if (ms_text_is(self->deed, "null")) {
        ms_push_null(ms_set(output, 0));
    } else if (ms_text_is(self->deed, "overflow")) {
        ms_push_uint64(ms_set(output, 0), (uint64_t)1 << 63);
    } else if (ms_text_is(self->deed, "wrong-type")) {
        ms_push_text(ms_set(output, 0), "text", 4);
    } else if (ms_text_is(self->deed, "uneven")) {
        ms_builder *builder = ms_set(output, self->column);
        for (size_t row = 0; row + 1 < batch->rows; row++) ms_push_text(builder, "short", 5);
        ms_keep(output);
    } else if (ms_text_is(self->deed, "spin")) {
        for (volatile int turns = 0;; turns++) {
        }
    } else if (ms_text_is(self->deed, "grow")) {
        grow();
    } else {
        if (ms_text_is(self->deed, "throw")) throw_at_bad(column);
        ms_keep(output);
    }
}

const ms_operator hostile = {
    .name = "hostile",
    .kind = MS_TRANSFORM,
    .summary = "Does wrong what an operator can do wrong.",
    .settings = settings,
    .open = open,
    .process = process,
};
