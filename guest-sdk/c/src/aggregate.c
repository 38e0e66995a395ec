/* Aggregates: rows into states, states into states, states into results. */
#include "core.h"

#include <stdlib.h>

bool ms_groups_fit(const uint32_t *groups, size_t count, size_t rows, size_t states) {
    uint32_t last = 0;
    if (count != rows) {
        ms_fail("there are %zu groups for %zu rows", count, rows);
        return false;
    }
    for (size_t i = 0; i < count; i++) last = groups[i] > last ? groups[i] : last;
    if (count > 0 && last >= states) ms_fail("group %u of %zu", (unsigned)last, states);
    return !ms_failed();
}

bool ms_core_accumulate(ms_raw_column raw, const uint32_t *groups, size_t group_count, ms_raw_batch *input,
                        ms_raw_column *answer) {
    ms_batch batch;
    ms_states states;
    const ms_opened *open = ms_begin(MS_AGGREGATE, NULL);
    ms_states_begin(&states, open == NULL ? 0 : open->operator_->state_size, raw);
    bool good = !ms_failed() && ms_view(&open->input, input, &batch) &&
                ms_groups_fit(groups, group_count, input->rows, states.count);
    if (good) {
        ms_enter(open->operator_, "accumulate");
        open->operator_->accumulate(open->self, &states, groups, &batch);
    }
    if (!ms_failed()) *answer = ms_states_finish(&states);
    ms_states_drop(&states);
    ms_free_batch(input);
    return !ms_failed();
}

typedef void (*pairwise)(void *self, ms_states *states, const ms_states *others);

static bool pairs(const ms_opened *open, const char *function, pairwise act, ms_raw_column left, ms_raw_column right,
                  ms_raw_column *answer) {
    ms_states states, others;
    size_t width = open == NULL ? 0 : open->operator_->state_size;
    ms_states_begin(&states, width, left);
    ms_states_begin(&others, width, right);
    if (states.count != others.count) ms_fail("%zu states with %zu others", states.count, others.count);
    if (!ms_failed()) {
        ms_enter(open->operator_, function);
        act(open->self, &states, &others);
    }
    if (!ms_failed()) *answer = ms_states_finish(&states);
    ms_states_drop(&states);
    ms_states_drop(&others);
    return !ms_failed();
}

bool ms_core_merge(ms_raw_column left, ms_raw_column right, ms_raw_column *answer) {
    const ms_opened *open = ms_begin(MS_AGGREGATE, NULL);
    return pairs(open, "merge", open == NULL ? NULL : open->operator_->merge, left, right, answer);
}

bool ms_core_retract(ms_raw_column left, ms_raw_column right, ms_raw_column *answer) {
    const ms_opened *open = ms_begin(MS_AGGREGATE, NULL);
    pairwise retract = open == NULL ? NULL : open->operator_->retract;
    if (retract == NULL) ms_fail("this aggregate cannot take out what was put in");
    return pairs(open, "retract", retract, left, right, answer);
}

bool ms_core_finish(ms_raw_column raw, ms_raw_batch *answer) {
    ms_states states;
    ms_output out;
    memset(&out, 0, sizeof out);
    const ms_opened *open = ms_begin(MS_AGGREGATE, NULL);
    ms_states_begin(&states, open == NULL ? 0 : open->operator_->state_size, raw);
    if (!ms_failed()) ms_output_begin(&out, open->output, NULL, NULL);
    if (!ms_failed()) {
        ms_enter(open->operator_, "finish");
        open->operator_->finish(open->self, &states, &out);
    }
    if (!ms_failed() && states.count == 0) ms_output_empty(&out);
    bool good = !ms_failed() && ms_output_finish(&out, states.count, answer);
    ms_output_drop(&out);
    ms_states_drop(&states);
    if (!good) ms_free_batch(answer);
    return good;
}
