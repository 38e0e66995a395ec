/* Types, views of columns, and rows chosen out of columns. */
#include "core.h"

#include <stdlib.h>

static const struct {
    const char *name;
    const char *format;
    size_t width;
} types[] = {
    [MS_BOOLEAN] = {"boolean", "b", 0},      [MS_INT32] = {"int32", "i", 4},
    [MS_INT64] = {"int64", "l", 8},          [MS_FLOAT32] = {"float32", "f", 4},
    [MS_FLOAT64] = {"float64", "g", 8},      [MS_DATE] = {"date", "tdD", 4},
    [MS_TIMESTAMP] = {"timestamp", "tsu:UTC", 8}, [MS_LOCAL_TIMESTAMP] = {"local timestamp", "tsu:", 8},
    [MS_UTF8] = {"utf8", "u", 0},            [MS_BINARY] = {"binary", "z", 0},
};

const char *ms_type_name(ms_type type) { return types[type].name; }
const char *ms_type_format(ms_type type) { return types[type].format; }
size_t ms_type_width(ms_type type) { return types[type].width; }
bool ms_type_is_bytes(ms_type type) { return type == MS_UTF8 || type == MS_BINARY; }

bool ms_type_of(ms_text format, ms_type *type) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (ms_text_is(format, types[i].format)) {
            *type = (ms_type)i;
            return true;
        }
    }
    return false;
}

size_t ms_find_field(const ms_schema *schema, ms_text name) {
    for (size_t i = 0; i < schema->count; i++) {
        ms_text known = schema->fields[i].name;
        if (known.len == name.len && memcmp(known.data, name.data, name.len) == 0) return i;
    }
    return MS_NO_ROW;
}

/* Instead of a null pointer, so that reading the end of an empty column is no special case. */
static const uint64_t nothing[2];

static bool enough(const ms_field *field, const char *buffer, size_t have, size_t needed) {
    if (have >= needed) return true;
    ms_fail_at(field->name, MS_NO_ROW, "its %s have %zu bytes where %zu are needed", buffer, have, needed);
    return false;
}

static bool view(const ms_field *field, size_t rows, const ms_raw_column *raw, ms_column *column) {
    column->field = field;
    column->rows = rows;
    column->validity = NULL;
    column->offsets = (const uint32_t *)nothing;
    column->as.values = raw->values.len == 0 ? (const void *)nothing : raw->values.data;
    if (raw->validity.len > 0) {
        if (!enough(field, "validity bits", raw->validity.len, (rows + 7) / 8)) return false;
        column->validity = raw->validity.data;
    }
    if (!ms_type_is_bytes(field->type)) {
        size_t width = ms_type_width(field->type);
        return enough(field, "values", raw->values.len, width == 0 ? (rows + 7) / 8 : rows * width);
    }
    /* A column without rows may come without even its first offset. */
    if (rows == 0) return true;
    if (!enough(field, "offsets", raw->offsets.len, (rows + 1) * 4)) return false;
    column->offsets = (const uint32_t *)(const void *)raw->offsets.data;
    return enough(field, "values", raw->values.len, column->offsets[rows]);
}

bool ms_view(const ms_schema *schema, const ms_raw_batch *raw, ms_batch *batch) {
    if (raw->count != schema->count) {
        ms_fail("the batch has %zu columns, its schema %zu", raw->count, schema->count);
        return false;
    }
    ms_column *columns = ms_alloc(raw->count * sizeof *columns);
    if (columns == NULL) return false;
    for (size_t i = 0; i < raw->count; i++) {
        if (!view(&schema->fields[i], raw->rows, &raw->columns[i], &columns[i])) return false;
    }
    batch->rows = raw->rows;
    batch->schema = schema;
    batch->columns = columns;
    return true;
}

/* ---- Rows ---- */

static const ms_column *named(const ms_batch *batch, size_t row, const char *name, ms_type type) {
    size_t place = ms_find_field(batch->schema, ms_text_of(name));
    if (place == MS_NO_ROW) {
        ms_fail("the batch has no column `%s`", name);
        return NULL;
    }
    const ms_column *column = &batch->columns[place];
    ms_type found = column->field->type;
    bool time = type == MS_INT64 && (found == MS_TIMESTAMP || found == MS_LOCAL_TIMESTAMP);
    if (found != type && !time) {
        ms_fail_at(column->field->name, MS_NO_ROW, "it is %s, not %s", ms_type_name(found), ms_type_name(type));
        return NULL;
    }
    ms_work.column = column->field->name;
    ms_work.row = row;
    return column;
}

bool ms_row_text(const ms_batch *batch, size_t row, const char *name, ms_text *value) {
    const ms_column *column = named(batch, row, name, MS_UTF8);
    if (column == NULL || ms_is_null(column, row)) return false;
    *value = ms_get_text(column, row);
    return true;
}

bool ms_row_int64(const ms_batch *batch, size_t row, const char *name, int64_t *value) {
    const ms_column *column = named(batch, row, name, MS_INT64);
    if (column == NULL || ms_is_null(column, row)) return false;
    *value = column->as.int64[row];
    return true;
}

bool ms_row_float64(const ms_batch *batch, size_t row, const char *name, double *value) {
    const ms_column *column = named(batch, row, name, MS_FLOAT64);
    if (column == NULL || ms_is_null(column, row)) return false;
    *value = column->as.float64[row];
    return true;
}

bool ms_row_boolean(const ms_batch *batch, size_t row, const char *name, bool *value) {
    const ms_column *column = named(batch, row, name, MS_BOOLEAN);
    if (column == NULL || ms_is_null(column, row)) return false;
    *value = ms_get_boolean(column, row);
    return true;
}

/* ---- Choosing rows ---- */

static ms_raw raw_room(size_t bytes) {
    ms_raw raw = {NULL, 0};
    if (bytes == 0) return raw;
    raw.data = calloc(bytes, 1);
    if (raw.data == NULL) {
        ms_fail("there is no memory for %zu bytes", bytes);
    } else {
        raw.len = bytes;
    }
    return raw;
}

static ms_raw select_bits(const uint8_t *bits, const uint32_t *rows, size_t count) {
    ms_raw chosen = raw_room((count + 7) / 8);
    if (chosen.data == NULL) return chosen;
    for (size_t i = 0; i < count; i++) {
        chosen.data[i / 8] |= (uint8_t)((bits[rows[i] / 8] >> (rows[i] % 8) & 1) << (i % 8));
    }
    return chosen;
}

static void select_bytes(const ms_column *column, const uint32_t *rows, size_t count, ms_raw_column *chosen) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++) bytes += column->offsets[rows[i] + 1] - column->offsets[rows[i]];
    if (bytes > INT32_MAX) {
        ms_fail_at(column->field->name, MS_NO_ROW, "it would be larger than 2 GiB; use smaller batches");
        return;
    }
    chosen->offsets = raw_room((count + 1) * 4);
    chosen->values = raw_room((size_t)bytes);
    if (ms_failed()) return;
    uint32_t *offsets = (uint32_t *)(void *)chosen->offsets.data, used = 0;
    for (size_t i = 0; i < count; i++) {
        ms_text value = ms_get_text(column, rows[i]);
        if (value.len > 0) memcpy(chosen->values.data + used, value.data, value.len);
        offsets[i + 1] = used += (uint32_t)value.len;
    }
}

ms_raw_column ms_select(const ms_column *column, const uint32_t *rows, size_t count) {
    ms_raw_column chosen = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t width = ms_type_width(column->field->type);
    if (column->validity != NULL) chosen.validity = select_bits(column->validity, rows, count);
    if (ms_type_is_bytes(column->field->type)) {
        select_bytes(column, rows, count, &chosen);
    } else if (width == 0) {
        chosen.values = select_bits(column->as.bits, rows, count);
    } else {
        chosen.values = raw_room(count * width);
        if (ms_failed()) return chosen;
        const uint8_t *from = column->as.values;
        for (size_t i = 0; i < count; i++) memcpy(chosen.values.data + i * width, from + rows[i] * width, width);
    }
    return chosen;
}
