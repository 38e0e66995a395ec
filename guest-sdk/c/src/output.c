/* What an operator makes of a batch: columns set, input columns kept, rows left out or rejected. */
#include "core.h"

#include <stdlib.h>

void ms_output_begin(ms_output *output, ms_schema schema, const ms_batch *input, ms_raw_batch *raw_input) {
    memset(output, 0, sizeof *output);
    output->schema = schema;
    output->input = input;
    output->raw_input = raw_input;
    output->builders = ms_alloc((schema.count + 1) * sizeof *output->builders);
    if (output->builders == NULL) return;
    memset(output->builders, 0, (schema.count + 1) * sizeof *output->builders);
    for (size_t i = 0; i < schema.count; i++) output->builders[i].field = schema.fields[i];
}

ms_builder *ms_set(ms_output *output, size_t column) {
    if (column >= output->schema.count) {
        ms_fail("column %zu of the output was asked for; it has %zu", column, output->schema.count);
        /* The last one is nobody's: what is pushed there goes nowhere. */
        return &output->builders[output->schema.count];
    }
    output->builders[column].started = true;
    return &output->builders[column];
}

void ms_keep(ms_output *output) {
    output->kept = true;
    output->kept_some = false;
}

void ms_keep_rows(ms_output *output, const uint32_t *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (output->input == NULL || rows[i] >= output->input->rows) {
            ms_fail("row %u cannot be kept: the input has %zu rows", (unsigned)rows[i],
                    output->input == NULL ? 0 : output->input->rows);
            return;
        }
    }
    uint32_t *copy = ms_alloc((count + 1) * sizeof *copy);
    if (copy == NULL) return;
    memcpy(copy, rows, count * sizeof *copy);
    output->kept = output->kept_some = true;
    output->kept_rows = copy;
    output->kept_count = count;
}

void ms_skip(ms_output *output, size_t row) {
    if (output->input != NULL && row >= output->input->rows) {
        ms_fail("row %zu was left out, but the input has %zu rows", row, output->input->rows);
        return;
    }
    if (!ms_grow((void **)&output->left_out, &output->left_out_room, output->left_out_count, sizeof(uint32_t))) return;
    output->left_out[output->left_out_count++] = (uint32_t)row;
}

/* ---- Rejections ---- */

void ms_note_rejection(ms_rejections *rejections, size_t row, ms_text reason) {
    if (!ms_grow((void **)&rejections->list, &rejections->room, rejections->count, sizeof(ms_rejection))) return;
    ms_rejection rejection = {(uint32_t)row, reason};
    rejections->list[rejections->count++] = rejection;
}

static int by_row(const void *a, const void *b) {
    uint32_t left = ((const ms_rejection *)a)->row, right = ((const ms_rejection *)b)->row;
    return left < right ? -1 : left > right;
}

void ms_sort_rejections(ms_rejections *rejections) {
    size_t kept = 0;
    bool rising = true;
    ms_rejection *list = rejections->list;
    for (size_t i = 1; i < rejections->count; i++) rising &= list[i - 1].row < list[i].row;
    if (rising) return;
    qsort(list, rejections->count, sizeof *list, by_row);
    for (size_t i = 0; i < rejections->count; i++) {
        if (kept == 0 || list[kept - 1].row != list[i].row) list[kept++] = list[i];
    }
    rejections->count = kept;
}

void ms_reject(ms_output *output, size_t row, const char *reason, ...) {
    va_list arguments;
    va_start(arguments, reason);
    ms_note_rejection(&output->rejections, row, ms_format_list(reason, arguments));
    va_end(arguments);
    ms_skip(output, row);
}

/* ---- The end ---- */

/* The rows that were not left out, as if the operator had asked for them. */
static void keep_survivors(ms_output *output) {
    size_t rows = output->input->rows, kept = 0;
    uint8_t *gone = ms_alloc(rows + 1);
    uint32_t *survivors = ms_alloc((rows + 1) * sizeof *survivors);
    if (gone == NULL || survivors == NULL) return;
    memset(gone, 0, rows + 1);
    for (size_t i = 0; i < output->left_out_count; i++) gone[output->left_out[i]] = 1;
    for (size_t row = 0; row < rows; row++) {
        survivors[kept] = (uint32_t)row;
        kept += !gone[row];
    }
    output->kept_some = true;
    output->kept_rows = survivors;
    output->kept_count = kept;
}

/* An input column of the field's name and type; MS_NO_ROW for none. */
static size_t source(const ms_output *output, const ms_field *field) {
    if (!output->kept || output->input == NULL) return MS_NO_ROW;
    size_t place = ms_find_field(output->input->schema, field->name);
    if (place == MS_NO_ROW || output->input->schema->fields[place].type != field->type) return MS_NO_ROW;
    return place;
}

static ms_raw_column take(ms_output *output, size_t place) {
    if (output->kept_some) return ms_select(&output->input->columns[place], output->kept_rows, output->kept_count);
    ms_raw_column *from = &output->raw_input->columns[place], moved = *from;
    memset(from, 0, sizeof *from);
    /* The host wants exact lengths of what it may have cut out of a larger batch. */
    return moved;
}

bool ms_output_finish(ms_output *output, size_t rows, ms_raw_batch *finished) {
    const char *first = "the rows to answer for are";
    if (ms_failed()) return false;
    ms_sort_rejections(&output->rejections);
    if (output->kept && !output->kept_some && output->left_out_count > 0) keep_survivors(output);
    if (output->kept) {
        rows = output->kept_some ? output->kept_count : output->input->rows;
        first = "the rows kept are";
    }
    size_t count = output->schema.count;
    finished->columns = count == 0 ? NULL : calloc(count, sizeof *finished->columns);
    if (finished->columns == NULL && count > 0) ms_fail("there is no memory for %zu columns", count);
    if (ms_failed()) return false;
    finished->count = count;
    for (size_t i = 0; i < count && !ms_failed(); i++) {
        ms_builder *builder = &output->builders[i];
        const ms_field *field = &output->schema.fields[i];
        if (!builder->started) {
            size_t place = source(output, field);
            if (place == MS_NO_ROW) {
                ms_fail_at(field->name, MS_NO_ROW, "the output column was neither set nor kept");
                break;
            }
            finished->columns[i] = take(output, place);
            continue;
        }
        if (rows == MS_NO_ROW) {
            rows = builder->rows;
            first = "the first column has";
        }
        if (builder->rows != rows) {
            ms_fail_at(field->name, builder->rows < rows ? builder->rows : rows,
                       "the output column has %zu rows, but %s %zu", builder->rows, first, rows);
            break;
        }
        finished->columns[i] = ms_finish_builder(builder);
    }
    finished->rows = rows == MS_NO_ROW ? 0 : rows;
    return !ms_failed();
}

void ms_output_empty(ms_output *output) {
    for (size_t i = 0; i < output->schema.count; i++) ms_set(output, i);
}

void ms_output_drop(ms_output *output) {
    for (size_t i = 0; output->builders != NULL && i < output->schema.count; i++) ms_drop_builder(&output->builders[i]);
    free(output->left_out);
    free(output->rejections.list);
    output->left_out = NULL;
    output->rejections.list = NULL;
}
