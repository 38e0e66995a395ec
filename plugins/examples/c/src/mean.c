/* `mean`: of a column of numbers. Its states have a fixed width and are changed in place. */
#include "examples.h"

static const ms_setting settings[] = {
    {"column", MS_STRING, "The int64 or float64 column; nulls do not count."},
    {NULL},
};

typedef struct mean_state {
    double sum;
    int64_t count;
} mean_state;

static void *open(ms_open *open) {
    size_t *column = ms_alloc(sizeof *column);
    if (column == NULL) return NULL;
    *column = ms_input_any(open, ms_config_text(open->config, "column"));
    if (!ms_failed()) {
        const ms_field *field = &open->input.fields[*column];
        if (field->type != MS_INT64) ms_input(open, field->name, MS_FLOAT64);
    }
    ms_output_field(open, ms_text_of("mean"), MS_FLOAT64, true);
    return column;
}

static void accumulate(void *self, ms_states *states, const uint32_t *groups, const ms_batch *batch) {
    const ms_column *column = &batch->columns[*(size_t *)self];
    mean_state *means = ms_states_fixed(states);
    if (means == NULL) return;
    bool whole = column->field->type == MS_INT64;
    for (size_t row = 0; row < batch->rows; row++) {
        if (ms_is_null(column, row)) continue;
        mean_state *mean = &means[groups[row]];
        mean->sum += whole ? (double)column->as.int64[row] : column->as.float64[row];
        mean->count++;
    }
}

static void merge(void *self, ms_states *states, const ms_states *others) {
    mean_state *means = ms_states_fixed(states);
    const mean_state *more = ms_states_fixed(others);
    if (means == NULL || more == NULL) return;
    for (size_t i = 0; i < ms_states_count(states); i++) {
        means[i].sum += more[i].sum;
        means[i].count += more[i].count;
    }
}

static void finish(void *self, const ms_states *states, ms_output *output) {
    const mean_state *means = ms_states_fixed(states);
    ms_builder *builder = ms_set(output, 0);
    if (means == NULL) return;
    for (size_t i = 0; i < ms_states_count(states); i++) {
        if (means[i].count == 0) {
            ms_push_null(builder);
        } else {
            ms_push_float64(builder, means[i].sum / (double)means[i].count);
        }
    }
}

const ms_operator mean = {
    .name = "mean",
    .kind = MS_AGGREGATE,
    .summary = "The mean of a column of numbers.",
    .settings = settings,
    .open = open,
    .state_size = sizeof(mean_state),
    .accumulate = accumulate,
    .merge = merge,
    .finish = finish,
};
