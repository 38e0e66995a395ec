/* The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and adds
 * up the parts of its workers with `merge`. */
#include "millstream.h"

static const ms_setting settings[] = {{"column", MS_STRING, "The boolean column; nulls do not count."}, {NULL}};

/* How many are true, and how many there are: all zero for a group without rows. */
typedef struct share_state {
    int64_t yes, all;
} share_state;

static void *open(ms_open *open) {
    size_t *column = ms_alloc(sizeof *column);
    if (column == NULL) return NULL;
    *column = ms_input(open, ms_config_text(open->config, "column"), MS_BOOLEAN);
    ms_output_field(open, ms_text_of("share"), MS_FLOAT64, true);
    return column;
}

static void accumulate(void *self, ms_states *states, const uint32_t *groups, const ms_batch *batch) {
    const ms_column *column = &batch->columns[*(size_t *)self];
    share_state *shares = ms_states_fixed(states);
    if (shares == NULL) return;
    for (size_t row = 0; row < batch->rows; row++) {
        if (ms_is_null(column, row)) continue;
        shares[groups[row]].yes += ms_get_boolean(column, row);
        shares[groups[row]].all++;
    }
}

static void merge(void *self, ms_states *states, const ms_states *others) {
    share_state *shares = ms_states_fixed(states);
    const share_state *more = ms_states_fixed(others);
    if (shares == NULL || more == NULL) return;
    for (size_t i = 0; i < ms_states_count(states); i++) {
        shares[i].yes += more[i].yes;
        shares[i].all += more[i].all;
    }
}

static void finish(void *self, const ms_states *states, ms_output *output) {
    const share_state *shares = ms_states_fixed(states);
    ms_builder *builder = ms_set(output, 0);
    if (shares == NULL) return;
    for (size_t i = 0; i < ms_states_count(states); i++) {
        if (shares[i].all == 0) {
            ms_push_null(builder);
        } else {
            ms_push_float64(builder, (double)shares[i].yes / (double)shares[i].all);
        }
    }
}

static const ms_operator share = {
    .name = "share",
    .kind = MS_AGGREGATE,
    .summary = "The share of rows in which a column is true.",
    .settings = settings,
    .open = open,
    .state_size = sizeof(share_state),
    .accumulate = accumulate,
    .merge = merge,
    .finish = finish,
};

MS_PLUGIN("{{name}}", "0.1.0", "Shares.", &share);
