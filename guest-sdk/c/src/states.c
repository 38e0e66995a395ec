/* States of groups and keys: a binary column that is changed in place where states have a fixed width, and
 * written anew where they do not. */
#include "core.h"

#include <stdlib.h>

bool ms_states_begin(ms_states *states, size_t width, ms_raw_column raw) {
    memset(states, 0, sizeof *states);
    states->width = width;
    states->raw = raw;
    states->count = raw.offsets.len < 4 ? 0 : raw.offsets.len / 4 - 1;
    const uint32_t *offsets = (const uint32_t *)(const void *)raw.offsets.data;
    if (states->count > 0 && offsets[states->count] > raw.values.len) {
        ms_fail("the states end at byte %u of %zu", (unsigned)offsets[states->count], raw.values.len);
        return false;
    }
    if (raw.validity.len > 0 && raw.validity.len < (states->count + 7) / 8) {
        ms_fail("there are %zu bytes of validity for %zu states", raw.validity.len, states->count);
        return false;
    }
    return true;
}

size_t ms_states_count(const ms_states *states) { return states->count; }

static ms_text written(const ms_states *states, size_t i) {
    const ms_raw_column *raw = &states->raw;
    ms_text none = {NULL, 0};
    if (raw->validity.len > 0 && (raw->validity.data[i / 8] >> (i % 8) & 1) == 0) return none;
    const uint32_t *offsets = (const uint32_t *)(const void *)raw->offsets.data;
    /* A state of no bytes is one all the same. */
    ms_text state = {raw->values.len == 0 ? "" : (const char *)raw->values.data + offsets[i], offsets[i + 1] - offsets[i]};
    return state;
}

ms_text ms_state(const ms_states *states, size_t i) {
    if (states->fixed != NULL) {
        ms_text state = {(const char *)states->fixed + i * states->width, states->width};
        return state;
    }
    return states->is_replaced != NULL && states->is_replaced[i] ? states->replaced[i] : written(states, i);
}

static bool replace(ms_states *states, size_t i, ms_text state) {
    if (states->is_replaced == NULL) {
        states->replaced = ms_alloc((states->count + 1) * sizeof *states->replaced);
        states->is_replaced = ms_alloc(states->count + 1);
        if (states->replaced == NULL || states->is_replaced == NULL) {
            states->is_replaced = NULL;
            return false;
        }
        memset(states->is_replaced, 0, states->count + 1);
    }
    states->replaced[i] = state;
    states->is_replaced[i] = true;
    return true;
}

void ms_state_put(ms_states *states, size_t i, const void *data, size_t len) {
    if (i >= states->count) {
        ms_fail("state %zu was written; there are %zu", i, states->count);
        return;
    }
    /* The old place serves again, so that a key with many rows does not fill the memory of the call. */
    if (states->is_replaced != NULL && states->is_replaced[i] && states->replaced[i].len >= len &&
        states->replaced[i].data != NULL) {
        char *place = (char *)(uintptr_t)states->replaced[i].data;
        memmove(place, data, len);
        states->replaced[i].len = len;
        return;
    }
    char *room = ms_alloc(len + len / 2 + 1);
    if (room == NULL) return;
    if (len > 0) memcpy(room, data, len);
    ms_text state = {room, len};
    replace(states, i, state);
}

void ms_state_remove(ms_states *states, size_t i) {
    ms_text none = {NULL, 0};
    replace(states, i, none);
}

void *ms_states_fixed(const ms_states *constant) {
    ms_states *states = (ms_states *)(uintptr_t)constant;
    size_t width = states->width;
    if (states->fixed != NULL) return states->fixed;
    if (width == 0) {
        ms_fail("states of no `state_size` were asked for as values of fixed width");
        return NULL;
    }
    for (size_t i = 0; i < states->count; i++) {
        ms_text state = written(states, i);
        if (state.data != NULL && state.len != width) {
            ms_fail("state %zu has %zu bytes, not %zu: was it written by another version?", i, state.len, width);
            return NULL;
        }
    }
    bool aligned = (uintptr_t)states->raw.values.data % 8 == 0;
    if (states->count > 0 && states->raw.values.len == states->count * width && aligned) {
        states->fixed = states->raw.values.data;
        states->fixed_is_raw = true;
        return states->fixed;
    }
    states->fixed = calloc(states->count + 1, width);
    if (states->fixed == NULL) {
        ms_fail("there is no memory for %zu states", states->count);
        return NULL;
    }
    for (size_t i = 0; i < states->count; i++) {
        ms_text state = written(states, i);
        if (state.data != NULL) memcpy(states->fixed + i * width, state.data, width);
    }
    return states->fixed;
}

static ms_raw_column fixed_column(ms_states *states) {
    ms_raw_column column = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    if (states->fixed_is_raw) {
        /* All have a value, so that the offsets are right as they came. */
        column.offsets = states->raw.offsets;
        column.values = states->raw.values;
        memset(&states->raw.offsets, 0, sizeof states->raw.offsets);
        memset(&states->raw.values, 0, sizeof states->raw.values);
        return column;
    }
    uint32_t *offsets = malloc((states->count + 1) * sizeof *offsets);
    if (offsets == NULL) {
        ms_fail("there is no memory for %zu states", states->count);
        return column;
    }
    for (size_t i = 0; i <= states->count; i++) offsets[i] = (uint32_t)(i * states->width);
    column.offsets.data = (uint8_t *)offsets;
    column.offsets.len = (states->count + 1) * sizeof *offsets;
    column.values.len = states->count * states->width;
    if (column.values.len > 0) column.values.data = states->fixed, states->fixed = NULL;
    return column;
}

static ms_raw_column rewritten(const ms_states *states) {
    ms_field field = {{"states", 6}, MS_BINARY, true};
    ms_builder builder;
    memset(&builder, 0, sizeof builder);
    builder.field = field;
    size_t bytes = 0;
    for (size_t i = 0; i < states->count; i++) bytes += ms_state(states, i).len;
    ms_reserve_text(&builder, states->count, bytes);
    for (size_t i = 0; i < states->count && !ms_failed(); i++) {
        ms_text state = ms_state(states, i);
        if (state.data == NULL) {
            ms_push_null(&builder);
        } else {
            ms_push_text(&builder, state.data, state.len);
        }
    }
    return ms_finish_builder(&builder);
}

ms_raw_column ms_states_finish(ms_states *states) {
    ms_raw_column column;
    if (states->fixed != NULL) {
        column = fixed_column(states);
    } else if (states->is_replaced != NULL) {
        column = rewritten(states);
    } else {
        column = states->raw;
        memset(&states->raw, 0, sizeof states->raw);
    }
    ms_states_drop(states);
    return column;
}

void ms_states_drop(ms_states *states) {
    if (!states->fixed_is_raw) free(states->fixed);
    states->fixed = NULL;
    ms_free_column(&states->raw);
}
