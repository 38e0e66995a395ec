/* `hostile-sum`: what an aggregate can do wrong, for tests of host and kit. Its state is the number of rows. */
#include "examples.h"

#include <assert.h>

static const char *const deeds[] = {"nothing", "throw", "throw-merge", "throw-finish", "null", "overflow", NULL};

static const ms_setting settings[] = {
    {"do", MS_STRING, "What it does.", .choices = deeds},
    {"column", MS_STRING, "The text column; `throw` waits for `bad` in it."},
    {NULL},
};

typedef struct hostile_sum_self {
    ms_text deed;
    size_t column;
} hostile_sum_self;

static void *open(ms_open *open) {
    hostile_sum_self *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->deed = ms_config_text(open->config, "do");
    self->column = ms_input(open, ms_config_text(open->config, "column"), MS_UTF8);
    ms_output_field(open, ms_text_of("n"), MS_INT64, false);
    return self;
}

static void accumulate(void *opaque, ms_states *states, const uint32_t *groups, const ms_batch *batch) {
    const hostile_sum_self *self = opaque;
    int64_t *counts = ms_states_fixed(states);
    if (counts == NULL) return;
    for (size_t row = 0; row < batch->rows; row++) {
        assert(!ms_text_is(self->deed, "throw") || !is_bad(batch, row, self->column));
        counts[groups[row]]++;
    }
}

static void merge(void *opaque, ms_states *states, const ms_states *others) {
    const hostile_sum_self *self = opaque;
    int64_t *counts = ms_states_fixed(states);
    const int64_t *more = ms_states_fixed(others);
    assert(!ms_text_is(self->deed, "throw-merge"));
    if (counts == NULL || more == NULL) return;
    for (size_t i = 0; i < ms_states_count(states); i++) counts[i] += more[i];
}

static void finish(void *opaque, const ms_states *states, ms_output *output) {
    const hostile_sum_self *self = opaque;
    const int64_t *counts = ms_states_fixed(states);
    assert(!ms_text_is(self->deed, "throw-finish"));
    if (counts == NULL) return;
    for (size_t i = 0; i < ms_states_count(states); i++) {
        ms_builder *builder = ms_set(output, 0);
        if (ms_text_is(self->deed, "null")) {
            ms_push_null(builder);
        } else {
            ms_push_uint64(builder, ms_text_is(self->deed, "overflow") ? (uint64_t)1 << 63 : (uint64_t)counts[i]);
        }
    }
}

const ms_operator hostile_sum = {
    .name = "hostile-sum",
    .kind = MS_AGGREGATE,
    .summary = "Does wrong what an aggregate can do wrong.",
    .settings = settings,
    .open = open,
    .state_size = sizeof(int64_t),
    .accumulate = accumulate,
    .merge = merge,
    .finish = finish,
};
