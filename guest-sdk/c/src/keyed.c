/* Keyed operators: the rows and timers of a turn, key by key. */
#include "core.h"

#include <stdlib.h>

struct ms_key {
    size_t index;
    const ms_batch *keys, *rows;
    ms_states *states;
    ms_output *behind; /* the output without the key's columns */
    uint32_t *emitted; /* the key of each output row */
    size_t emitted_count, emitted_room;
    ms_timer *timers;
    size_t timer_count, timer_room;
};

size_t ms_key_index(const ms_key *key) { return key->index; }
const ms_batch *ms_key_columns(const ms_key *key) { return key->keys; }
const ms_batch *ms_key_rows(const ms_key *key) { return key->rows; }
ms_text ms_key_state(const ms_key *key) { return ms_state(key->states, key->index); }
void ms_key_put(ms_key *key, const void *data, size_t len) { ms_state_put(key->states, key->index, data, len); }
void ms_key_drop(ms_key *key) { ms_state_remove(key->states, key->index); }

void ms_key_timer(ms_key *key, int64_t at) {
    if (!ms_grow((void **)&key->timers, &key->timer_room, key->timer_count, sizeof(ms_timer))) return;
    ms_timer timer = {(uint32_t)key->index, at};
    key->timers[key->timer_count++] = timer;
}

void ms_key_reject(ms_key *key, size_t row, const char *reason, ...) {
    va_list arguments;
    va_start(arguments, reason);
    ms_note_rejection(&key->behind->rejections, row, ms_format_list(reason, arguments));
    va_end(arguments);
}

ms_output *ms_key_emit(ms_key *key) {
    if (ms_grow((void **)&key->emitted, &key->emitted_room, key->emitted_count, sizeof(uint32_t))) {
        key->emitted[key->emitted_count++] = (uint32_t)key->index;
    }
    return key->behind;
}

static void feed(const ms_opened *open, ms_key *key, const ms_turn *turn) {
    const ms_operator *operator_ = open->operator_;
    for (size_t i = 0; i < turn->due_count && !ms_failed(); i++) {
        key->index = turn->due[i].key;
        ms_enter(operator_, "on_timer");
        if (operator_->on_timer == NULL) {
            ms_fail("a timer is due, but the operator has no `on_timer`");
        } else if (key->index < key->states->count) {
            operator_->on_timer(open->self, key, turn->due[i].at);
        }
    }
    ms_enter(operator_, "on_row");
    for (size_t row = 0; row < turn->row_key_count && !ms_failed(); row++) {
        key->index = turn->row_keys[row];
        ms_work.row = row;
        ms_work.column.data = NULL;
        operator_->on_row(open->self, key, row);
    }
}

/* The key's columns of each output row, then the operator's own. */
static bool join_key(const ms_opened *open, const ms_key *key, ms_output *out, ms_raw_batch *output) {
    ms_raw_batch behind = {0, NULL, 0};
    size_t keys = open->keys.count;
    bool good = ms_output_finish(out, key->emitted_count, &behind);
    ms_raw_column *columns = good ? calloc(keys + behind.count + 1, sizeof *columns) : NULL;
    if (columns == NULL) {
        ms_fail("there is no memory for the output");
        ms_free_batch(&behind);
        return false;
    }
    for (size_t i = 0; i < keys; i++) columns[i] = ms_select(&key->keys->columns[i], key->emitted, key->emitted_count);
    for (size_t i = 0; i < behind.count; i++) columns[keys + i] = behind.columns[i];
    if (behind.count > 0) free(behind.columns);
    output->rows = key->emitted_count;
    output->columns = columns;
    output->count = keys + behind.count;
    if (output->count == 0) free(columns);
    return !ms_failed();
}

bool ms_core_turn(const ms_clock *clock, ms_turn *turn, ms_outcome *outcome) {
    ms_batch keys, rows;
    ms_states states;
    ms_output out;
    ms_key key;
    memset(&out, 0, sizeof out);
    memset(&key, 0, sizeof key);
    memset(outcome, 0, sizeof *outcome);
    const ms_opened *open = ms_begin(MS_KEYED, clock);
    ms_states_begin(&states, 0, turn->states);
    bool good = !ms_failed() && ms_view(&open->keys, &turn->keys, &keys) && ms_view(&open->input, &turn->rows, &rows) &&
                ms_groups_fit(turn->row_keys, turn->row_key_count, rows.rows, states.count);
    if (good) {
        ms_schema behind = {open->output.fields + open->keys.count, open->output.count - open->keys.count};
        ms_output_begin(&out, behind, &rows, NULL);
        key.keys = &keys, key.rows = &rows, key.states = &states, key.behind = &out;
        if (!ms_failed()) feed(open, &key, turn);
        if (!ms_failed() && key.emitted_count == 0) ms_output_empty(&out);
        good = !ms_failed() && join_key(open, &key, &out, &outcome->output);
    }
    if (good) {
        outcome->states = ms_states_finish(&states);
        outcome->timers = key.timers, outcome->timer_count = key.timer_count;
        outcome->rejected = out.rejections;
        key.timers = NULL, out.rejections.list = NULL;
    }
    if (ms_failed()) {
        ms_free_batch(&outcome->output);
        ms_free_column(&outcome->states);
    }
    free(key.emitted);
    free(key.timers);
    ms_output_drop(&out);
    ms_states_drop(&states);
    ms_free_batch(&turn->keys);
    ms_free_batch(&turn->rows);
    return !ms_failed();
}

bool ms_core_migrate(ms_text from_version, ms_raw_column raw, ms_raw_column *answer) {
    ms_states states;
    const ms_opened *open = ms_begin(MS_KEYED, NULL);
    ms_states_begin(&states, 0, raw);
    for (size_t i = 0; i < states.count && !ms_failed() && open->operator_->migrate != NULL; i++) {
        ms_enter(open->operator_, "migrate");
        open->operator_->migrate(open->self, from_version, &states, i);
    }
    if (!ms_failed()) *answer = ms_states_finish(&states);
    ms_states_drop(&states);
    return !ms_failed();
}
