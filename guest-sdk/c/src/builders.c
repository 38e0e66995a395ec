/* Builders of output columns: buffers that double, nothing allocated a row. They are what the host gets. */
#include "core.h"

#include <stdlib.h>

/* Offsets are signed in Arrow. */
#define BYTES_MAX ((size_t)INT32_MAX)

static void wrong(const ms_builder *builder, const char *pushed) {
    ms_fail_at(builder->field.name, builder->rows, "%s was pushed into a column of %s", pushed,
               ms_type_name(builder->field.type));
}

static bool resize(const ms_builder *builder, void **buffer, size_t bytes) {
    void *grown = realloc(*buffer, bytes);
    if (grown == NULL) {
        ms_fail_at(builder->field.name, builder->rows, "there is no memory for %zu bytes", bytes);
        return false;
    }
    *buffer = grown;
    return true;
}

static size_t doubled(size_t room, size_t needed, size_t least) {
    size_t wanted = room * 2 > needed ? room * 2 : needed;
    return wanted > least ? wanted : least;
}

/* Room for `rows` more of a type of fixed width. */
static bool room_fixed(ms_builder *builder, size_t rows, size_t width) {
    builder->started = true;
    size_t needed = builder->rows + rows;
    if (needed <= builder->row_room) return true;
    size_t wanted = doubled(builder->row_room, needed, 64);
    size_t bytes = width == 0 ? (wanted + 7) / 8 : wanted * width;
    if (!resize(builder, (void **)&builder->values, bytes)) return false;
    if (width == 0) memset(builder->values + builder->room, 0, bytes - builder->room);
    builder->room = bytes;
    builder->row_room = wanted;
    return true;
}

bool ms_reserve_text(ms_builder *builder, size_t rows, size_t bytes) {
    if (!ms_type_is_bytes(builder->field.type)) {
        wrong(builder, "text");
        return false;
    }
    builder->started = true;
    if (builder->used + bytes > BYTES_MAX) {
        ms_fail_at(builder->field.name, builder->rows, "the column would be larger than 2 GiB; use smaller batches");
        return false;
    }
    size_t needed = builder->used + bytes + MS_SLACK, needed_rows = builder->rows + rows;
    if (needed > builder->room) {
        size_t wanted = doubled(builder->room, needed, 256);
        if (!resize(builder, (void **)&builder->values, wanted)) return false;
        builder->room = wanted;
    }
    if (needed_rows > builder->row_room || builder->offsets == NULL) {
        size_t wanted = doubled(builder->row_room, needed_rows, 64);
        bool first = builder->offsets == NULL;
        if (!resize(builder, (void **)&builder->offsets, (wanted + 1) * sizeof(uint32_t))) return false;
        if (first) builder->offsets[0] = 0;
        builder->row_room = wanted;
    }
    return true;
}

void ms_push_text(ms_builder *builder, const char *data, size_t len) {
    if (!ms_reserve_text(builder, 1, len)) return;
    if (len > 0) memcpy(builder->values + builder->used, data, len);
    builder->used += len;
    builder->offsets[++builder->rows] = (uint32_t)builder->used;
}

#define FIXED(name, native, word, condition)                                                                 \
    native *ms_fill_##name(ms_builder *builder, size_t rows) {                                               \
        ms_type type = builder->field.type;                                                                  \
        if (!(condition)) {                                                                                  \
            wrong(builder, word);                                                                            \
            return NULL;                                                                                     \
        }                                                                                                    \
        if (!room_fixed(builder, rows, sizeof(native))) return NULL;                                         \
        native *values = (native *)(void *)builder->values + builder->rows;                                  \
        builder->rows += rows;                                                                               \
        return values;                                                                                       \
    }                                                                                                        \
    void ms_push_##name(ms_builder *builder, native value) {                                                 \
        native *place = ms_fill_##name(builder, 1);                                                          \
        if (place != NULL) *place = value;                                                                   \
    }

FIXED(int32, int32_t, "an int32", type == MS_INT32 || type == MS_DATE)
FIXED(int64, int64_t, "an int64", type == MS_INT64 || type == MS_TIMESTAMP || type == MS_LOCAL_TIMESTAMP)
FIXED(float32, float, "a float32", type == MS_FLOAT32)
FIXED(float64, double, "a float64", type == MS_FLOAT64)

static bool is_narrow(const ms_builder *builder) {
    return builder->field.type == MS_INT32 || builder->field.type == MS_DATE;
}

void ms_push_integer(ms_builder *builder, int64_t value) {
    if (!is_narrow(builder)) {
        ms_push_int64(builder, value);
    } else if (value >= INT32_MIN && value <= INT32_MAX) {
        ms_push_int32(builder, (int32_t)value);
    } else {
        ms_fail_at(builder->field.name, builder->rows, "overflow: %lld does not fit an int32", (long long)value);
    }
}

void ms_push_uint64(ms_builder *builder, uint64_t value) {
    if (value > INT64_MAX) {
        ms_fail_at(builder->field.name, builder->rows, "overflow: %llu does not fit an %s", (unsigned long long)value,
                   is_narrow(builder) ? "int32" : "int64");
        return;
    }
    ms_push_integer(builder, (int64_t)value);
}

void ms_push_timestamp(ms_builder *builder, int64_t micros) {
    if (builder->field.type == MS_INT64) {
        wrong(builder, "a timestamp");
        return;
    }
    ms_push_int64(builder, micros);
}

void ms_push_boolean(ms_builder *builder, bool value) {
    if (builder->field.type != MS_BOOLEAN) {
        wrong(builder, "a boolean");
        return;
    }
    if (!room_fixed(builder, 1, 0)) return;
    builder->values[builder->rows / 8] |= (uint8_t)(value << (builder->rows % 8));
    builder->rows++;
}

/* ---- Nulls ---- */

/* The bitmap up to `rows` rows, ones where nothing was said. */
static bool room_validity(ms_builder *builder, size_t rows) {
    size_t needed = (rows + 7) / 8;
    if (needed <= builder->validity_room) return true;
    size_t wanted = doubled(builder->validity_room, needed, 64);
    if (!resize(builder, (void **)&builder->validity, wanted)) return false;
    memset(builder->validity + builder->validity_room, 0xff, wanted - builder->validity_room);
    builder->validity_room = wanted;
    return true;
}

static bool nulls_allowed(const ms_builder *builder, size_t row) {
    if (builder->field.nullable) return true;
    ms_fail_at(builder->field.name, row, "a null, but the output schema says that the column has none");
    return false;
}

void ms_push_null(ms_builder *builder) {
    size_t row = builder->rows, width = ms_type_width(builder->field.type);
    if (!nulls_allowed(builder, row) || !room_validity(builder, row + 1)) return;
    if (ms_type_is_bytes(builder->field.type)) {
        ms_push_text(builder, NULL, 0);
    } else if (room_fixed(builder, 1, width)) {
        memset(builder->values + row * width, 0, width);
        builder->rows++;
    }
    if (builder->rows > row) builder->validity[row / 8] &= (uint8_t)~(1u << (row % 8));
}

void ms_share_nulls(ms_builder *builder, const ms_column *column) {
    if (column->validity == NULL) return;
    for (size_t row = 0; row < column->rows; row++) {
        if (ms_is_null(column, row)) {
            if (!nulls_allowed(builder, row)) return;
            break;
        }
    }
    if (room_validity(builder, column->rows)) memcpy(builder->validity, column->validity, (column->rows + 7) / 8);
}

/* ---- The end ---- */

/* Bits behind the last row are zeros. */
static void cut_bits(uint8_t *bits, size_t rows) {
    if (rows % 8 != 0) bits[rows / 8] &= (uint8_t)((1u << (rows % 8)) - 1);
}

ms_raw_column ms_finish_builder(ms_builder *builder) {
    ms_raw_column column = {{NULL, 0}, {NULL, 0}, {NULL, 0}};
    size_t rows = builder->rows, width = ms_type_width(builder->field.type);
    bool bytes = ms_type_is_bytes(builder->field.type);
    if (builder->validity != NULL && (rows == 0 || room_validity(builder, rows))) {
        cut_bits(builder->validity, rows);
        column.validity.data = builder->validity, column.validity.len = (rows + 7) / 8;
        builder->validity = NULL;
    }
    if (bytes && builder->offsets != NULL) {
        column.offsets.data = (uint8_t *)builder->offsets, column.offsets.len = (rows + 1) * 4;
        builder->offsets = NULL;
    }
    if (builder->values != NULL) {
        column.values.len = bytes ? builder->used : width == 0 ? (rows + 7) / 8 : rows * width;
        column.values.data = builder->values;
        builder->values = NULL;
        /* An empty list is not freed by whoever gets it. */
        if (column.values.len == 0) free(column.values.data), column.values.data = NULL;
    }
    if (column.validity.len == 0) free(column.validity.data), column.validity.data = NULL;
    ms_drop_builder(builder);
    return column;
}

void ms_drop_builder(ms_builder *builder) {
    free(builder->values);
    free(builder->offsets);
    free(builder->validity);
    builder->values = NULL, builder->offsets = NULL, builder->validity = NULL;
    builder->rows = builder->row_room = builder->used = builder->room = builder->validity_room = 0;
    builder->started = false;
}
