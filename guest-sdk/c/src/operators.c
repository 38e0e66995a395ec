/* Finding and opening an operator, and batches of transforms. */
#include "core.h"

#include <stdlib.h>

static ms_opened opened;

struct ms_open_inner {
    ms_field *fields;
    size_t count, room;
};

static const char *kind_names[] = {"transform", "aggregate", "keyed"};

static const ms_operator *find(ms_kind kind, ms_text name) {
    const ms_operator *const *operators = millstream_plugin.operators;
    size_t count = millstream_plugin.operator_count;
    for (size_t i = 0; i < count; i++) {
        if (!ms_text_is(name, operators[i]->name)) continue;
        if (operators[i]->kind == kind) return operators[i];
        ms_fail("the operator `%s` is of the kind %s, not %s", operators[i]->name, kind_names[operators[i]->kind],
                kind_names[kind]);
        return NULL;
    }
    ms_text *known = ms_alloc((count + 1) * sizeof *known);
    if (known == NULL) return NULL;
    for (size_t i = 0; i < count; i++) known[i] = ms_text_of(operators[i]->name);
    ms_text nearest = ms_nearest(name, known, count);
    ms_fail("the plugin `%s` has no operator `%.*s`; %.*s", millstream_plugin.name, (int)name.len, name.data,
            (int)nearest.len, nearest.data);
    return NULL;
}

/* ---- Opening ---- */

static ms_schema copy_schema(ms_schema schema) {
    ms_field *fields = ms_alloc((schema.count + 1) * sizeof *fields);
    ms_schema copied = {fields, fields == NULL ? 0 : schema.count};
    for (size_t i = 0; i < copied.count; i++) {
        fields[i] = schema.fields[i];
        fields[i].name = ms_copy_text(schema.fields[i].name);
    }
    return copied;
}

size_t ms_input_any(ms_open *open, ms_text column) {
    size_t place = ms_find_field(&open->input, column);
    if (place != MS_NO_ROW || ms_failed()) return place == MS_NO_ROW ? 0 : place;
    ms_text *known = ms_alloc((open->input.count + 1) * sizeof *known);
    if (known == NULL) return 0;
    for (size_t i = 0; i < open->input.count; i++) known[i] = open->input.fields[i].name;
    ms_text nearest = ms_nearest(column, known, open->input.count);
    ms_fail("the input has no column `%.*s`; %.*s", (int)column.len, column.data, (int)nearest.len, nearest.data);
    return 0;
}

size_t ms_input(ms_open *open, ms_text column, ms_type type) {
    size_t place = ms_input_any(open, column);
    if (ms_failed()) return 0;
    ms_type found = open->input.fields[place].type;
    bool time = type == MS_TIMESTAMP && found == MS_LOCAL_TIMESTAMP;
    if (found != type && !time) {
        ms_fail("the column `%.*s` is %s, but must be %s", (int)column.len, column.data, ms_type_name(found),
                ms_type_name(type));
    }
    return place;
}

size_t ms_output_field(ms_open *open, ms_text name, ms_type type, bool nullable) {
    struct ms_open_inner *inner = open->inner;
    ms_schema so_far = {inner->fields, inner->count};
    if (ms_find_field(&so_far, name) != MS_NO_ROW) {
        ms_fail("the output would have two columns `%.*s`; give one another name", (int)name.len, name.data);
        return 0;
    }
    if (!ms_grow((void **)&inner->fields, &inner->room, inner->count, sizeof *inner->fields)) return 0;
    ms_field field = {ms_copy_text(name), type, nullable};
    inner->fields[inner->count] = field;
    return inner->count++ - open->keys.count;
}

void ms_output_input(ms_open *open) {
    for (size_t i = 0; i < open->input.count; i++) {
        const ms_field *field = &open->input.fields[i];
        ms_output_field(open, field->name, field->type, field->nullable);
    }
}

static bool open_with(const ms_operator *operator_, ms_text config, ms_schema keys, ms_schema input) {
    struct ms_open_inner inner = {NULL, 0, 0};
    ms_open open = {NULL, copy_schema(input), {NULL, 0}, &inner};
    ms_schema keys_kept = copy_schema(keys);
    for (size_t i = 0; i < keys_kept.count; i++) {
        ms_output_field(&open, keys_kept.fields[i].name, keys_kept.fields[i].type, keys_kept.fields[i].nullable);
    }
    open.keys = keys_kept;
    if (!ms_failed()) open.config = ms_config_read(operator_->settings, config);
    ms_enter(operator_, "open");
    void *self = ms_failed() ? NULL : operator_->open(&open);
    ms_schema output = {inner.fields, inner.count};
    if (!ms_failed()) {
        opened.output = copy_schema(output);
        opened.operator_ = ms_failed() ? NULL : operator_;
        opened.self = self;
        opened.input = open.input;
        opened.keys = keys_kept;
    }
    free(inner.fields);
    return !ms_failed();
}

bool ms_core_open(ms_kind kind, ms_text name, ms_text config, ms_schema keys, ms_schema input, ms_schema *output) {
    /* What is wrong with a config is told to whoever deploys, who knows which operator it is. */
    ms_begin_call(NULL, NULL);
    ms_keep_memory(true);
    const ms_operator *operator_ = find(kind, name);
    bool good = operator_ != NULL && open_with(operator_, config, keys, input);
    ms_keep_memory(false);
    *output = opened.output;
    return good;
}

const ms_opened *ms_begin(ms_kind kind, const ms_clock *clock) {
    bool open = opened.operator_ != NULL && opened.operator_->kind == kind;
    ms_begin_call(open ? opened.operator_->name : NULL, clock);
    if (!open) ms_fail("no %s is open", kind_names[kind]);
    return open ? &opened : NULL;
}

void ms_free_batch(ms_raw_batch *batch) {
    for (size_t i = 0; i < batch->count; i++) ms_free_column(&batch->columns[i]);
    if (batch->count > 0) free(batch->columns);
    batch->columns = NULL;
    batch->count = 0;
}

/* ---- Transforms ---- */

bool ms_core_process(const ms_clock *clock, ms_raw_batch *input, ms_raw_batch *output, ms_rejections *rejected) {
    ms_batch batch;
    ms_output out;
    memset(&out, 0, sizeof out);
    bool good = ms_begin(MS_TRANSFORM, clock) != NULL && ms_view(&opened.input, input, &batch);
    if (good) {
        ms_output_begin(&out, opened.output, &batch, input);
        ms_enter(opened.operator_, "process");
        if (!ms_failed()) opened.operator_->process(opened.self, &batch, &out);
        good = ms_output_finish(&out, MS_NO_ROW, output);
    }
    if (good) {
        *rejected = out.rejections;
        out.rejections.list = NULL;
    }
    ms_output_drop(&out);
    ms_free_batch(input);
    if (!good) ms_free_batch(output);
    return good;
}
