/* `currency`: a column times a rate, beside all that came in. */
#include "examples.h"

static const ms_setting settings[] = {
    {"column", MS_STRING, "The float64 column."},
    {"rate", MS_NUMBER, "What each value is multiplied by."},
    {"output", MS_STRING, "The name of the new column.", .optional = true, .fallback = "\"converted\""},
    {NULL},
};

typedef struct currency_state {
    size_t column, output;
    double rate;
} currency_state;

static void *open(ms_open *open) {
    currency_state *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->column = ms_input(open, ms_config_text(open->config, "column"), MS_FLOAT64);
    self->rate = ms_config_number(open->config, "rate");
    ms_output_input(open);
    self->output = ms_output_field(open, ms_config_text(open->config, "output"), MS_FLOAT64, true);
    return self;
}

static void process(void *opaque, const ms_batch *batch, ms_output *output) {
    const currency_state *self = opaque;
    const ms_column *column = &batch->columns[self->column];
    ms_builder *builder = ms_set(output, self->output);
    double *converted = ms_fill_float64(builder, batch->rows);
    if (converted == NULL) return;
    const double *values = column->as.float64;
    for (size_t row = 0; row < batch->rows; row++) converted[row] = values[row] * self->rate;
    ms_share_nulls(builder, column);
    ms_keep(output);
}

const ms_operator currency = {
    .name = "currency",
    .kind = MS_TRANSFORM,
    .summary = "Converts a price into another currency.",
    .settings = settings,
    .open = open,
    .process = process,
};
