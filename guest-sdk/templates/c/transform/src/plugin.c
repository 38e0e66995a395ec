/* Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows around it
 * go on. */
#include "millstream.h"

static const ms_setting settings[] = {
    {"column", MS_STRING, "The float64 column of prices."},
    {"rate", MS_NUMBER, "What one of them is worth."},
    {NULL},
};

typedef struct convert_self {
    size_t column, converted;
    double rate;
} convert_self;

/* Called once for each instance: finds the input's columns and says what comes out. */
static void *open(ms_open *open) {
    convert_self *self = ms_alloc(sizeof *self);
    if (self == NULL) return NULL;
    self->column = ms_input(open, ms_config_text(open->config, "column"), MS_FLOAT64);
    self->rate = ms_config_number(open->config, "rate");
    ms_output_input(open);
    self->converted = ms_output_field(open, ms_text_of("converted"), MS_FLOAT64, true);
    return self;
}

/* Called for each batch. */
static void process(void *opaque, const ms_batch *batch, ms_output *output) {
    const convert_self *self = opaque;
    const ms_column *prices = &batch->columns[self->column];
    ms_builder *converted = ms_set(output, self->converted);
    for (size_t row = 0; row < batch->rows; row++) {
        double price = prices->as.float64[row];
        if (ms_is_null(prices, row)) {
            ms_push_null(converted);
        } else if (price < 0) {
            ms_reject(output, row, "the price is %g", price);
        } else {
            ms_push_float64(converted, price * self->rate);
        }
    }
    ms_keep(output);
}

static const ms_operator convert = {
    .name = "convert",
    .kind = MS_TRANSFORM,
    .summary = "Adds converted prices.",
    .settings = settings,
    .open = open,
    .process = process,
};

MS_PLUGIN("{{name}}", "0.1.0", "Prices.", &convert);
