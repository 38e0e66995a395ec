/* The C kit for Millstream plugins: operators are entries of a table, batches come as columns.
 *
 * Nothing here returns an error code. A call that fails notes what, in which column and at which row; what
 * follows it does nothing, and the whole call into the plugin ends as that error. Ask `ms_failed()` where
 * going on would cost time. Memory of `ms_alloc` lives until the next call into the plugin. */
#ifndef MILLSTREAM_H
#define MILLSTREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Words ---------------------------------------------------------------------------------- */

/* Bytes that are not ended by a zero. `data` is NULL only where there is no text at all. */
typedef struct ms_text {
    const char *data;
    size_t len;
} ms_text;

typedef enum ms_type {
    MS_BOOLEAN,
    MS_INT32,
    MS_INT64,
    MS_FLOAT32,
    MS_FLOAT64,
    MS_DATE,            /* days since the Unix epoch, 32 bits */
    MS_TIMESTAMP,       /* microseconds since the Unix epoch, UTC, 64 bits */
    MS_LOCAL_TIMESTAMP, /* the same without a zone */
    MS_UTF8,
    MS_BINARY
} ms_type;

typedef struct ms_field {
    ms_text name;
    ms_type type;
    bool nullable;
} ms_field;

typedef struct ms_schema {
    const ms_field *fields;
    size_t count;
} ms_schema;

/* A text of a string that is ended by a zero. */
static inline ms_text ms_text_of(const char *string) {
    ms_text text = {string, string == NULL ? 0 : strlen(string)};
    return text;
}

static inline bool ms_text_is(ms_text text, const char *string) {
    return text.len == strlen(string) && memcmp(text.data, string, text.len) == 0;
}

/* ---- Failing -------------------------------------------------------------------------------- */

#if defined(__GNUC__) || defined(__clang__)
#define MS_PRINTF(words, first) __attribute__((format(printf, words, first)))
#else
#define MS_PRINTF(words, first)
#endif

/* Ends the call as an error; the first one counts. Say what, where and what to do. */
void ms_fail(const char *format, ...) MS_PRINTF(1, 2);
/* The same for a column and a row of it; a `row` of MS_NO_ROW names none. */
void ms_fail_at(ms_text column, size_t row, const char *format, ...) MS_PRINTF(3, 4);
bool ms_failed(void);
#define MS_NO_ROW SIZE_MAX

/* Memory until the next call into the plugin (memory of `open` stays); NULL, and a failure, when there is none. */
void *ms_alloc(size_t bytes);

/* ---- Columns -------------------------------------------------------------------------------- */

/* A column of a batch. Read it with the functions below, or by the typed pointer that fits `field`. */
typedef struct ms_column {
    const ms_field *field;
    size_t rows;
    const uint8_t *validity; /* one bit a row, least significant first; NULL when nothing is null */
    const uint32_t *offsets; /* rows + 1, for utf8 and binary */
    union {
        const void *values;
        const uint8_t *bits; /* boolean */
        const char *bytes;   /* utf8, binary */
        const int32_t *int32;
        const int64_t *int64; /* also timestamps */
        const float *float32;
        const double *float64;
    } as;
} ms_column;

typedef struct ms_batch {
    size_t rows;
    const ms_schema *schema;
    const ms_column *columns; /* in the order of the schema */
} ms_batch;

static inline bool ms_is_null(const ms_column *column, size_t row) {
    return column->validity != NULL && (column->validity[row / 8] >> (row % 8) & 1) == 0;
}

/* The bytes of a row of utf8 or binary; of a null, any. */
static inline ms_text ms_get_text(const ms_column *column, size_t row) {
    uint32_t start = column->offsets[row];
    ms_text text = {column->as.bytes + start, column->offsets[row + 1] - start};
    return text;
}

static inline bool ms_get_boolean(const ms_column *column, size_t row) {
    return (column->as.bits[row / 8] >> (row % 8) & 1) != 0;
}

/* A row by column names: easy rather than fast. False for a null, and (with a failure) when the batch has
 * no such column or it is of another type. */
bool ms_row_text(const ms_batch *batch, size_t row, const char *column, ms_text *value);
bool ms_row_int64(const ms_batch *batch, size_t row, const char *column, int64_t *value); /* also timestamps */
bool ms_row_float64(const ms_batch *batch, size_t row, const char *column, double *value);
bool ms_row_boolean(const ms_batch *batch, size_t row, const char *column, bool *value);

/* What is the same however often this micro-batch is run again. Times are microseconds since the epoch. */
typedef struct ms_clock {
    uint64_t batch_id;
    int64_t now;
    bool has_watermark;
    int64_t watermark;
} ms_clock;

/* The clock of the call that is running; aggregates have none. */
ms_clock ms_now(void);

/* ---- Builders ------------------------------------------------------------------------------- */

/* An output column while it grows; the kit owns it. All that is pushed is copied. */
typedef struct ms_builder {
    ms_field field;
    size_t rows;
    size_t row_room;
    uint8_t *values;
    size_t used; /* bytes of utf8 and binary */
    size_t room; /* bytes of `values` */
    uint32_t *offsets;
    uint8_t *validity; /* NULL until there is a null */
    size_t validity_room;
    bool started;
} ms_builder;

void ms_push_boolean(ms_builder *builder, bool value);
void ms_push_int32(ms_builder *builder, int32_t value); /* also date */
void ms_push_int64(ms_builder *builder, int64_t value);
/* Whole numbers that may not fit: into int32, date, int64 and timestamps; one that does not is a failure. */
void ms_push_integer(ms_builder *builder, int64_t value);
void ms_push_uint64(ms_builder *builder, uint64_t value);
void ms_push_float32(ms_builder *builder, float value);
void ms_push_float64(ms_builder *builder, double value);
void ms_push_timestamp(ms_builder *builder, int64_t micros);
void ms_push_text(ms_builder *builder, const char *data, size_t len); /* also binary */
void ms_push_null(ms_builder *builder);

/* Many values at once: room for `rows` more that the caller fills in; NULL on failure. */
int32_t *ms_fill_int32(ms_builder *builder, size_t rows); /* also date */
int64_t *ms_fill_int64(ms_builder *builder, size_t rows); /* also timestamps */
float *ms_fill_float32(ms_builder *builder, size_t rows);
double *ms_fill_float64(ms_builder *builder, size_t rows);
/* The nulls of a column of as many rows become those of the builder. */
void ms_share_nulls(ms_builder *builder, const ms_column *column);

/* Room for so many more rows and bytes, and MS_SLACK bytes behind them; false on failure. Inside of it
 * `ms_push_part` may be used, which copies short values by one store that reads and writes MS_SLACK bytes. */
#define MS_SLACK 16
bool ms_reserve_text(ms_builder *builder, size_t rows, size_t bytes);

/* Of `data`, MS_SLACK bytes have to be readable, whatever `len`. */
static inline void ms_push_part(ms_builder *builder, const char *data, size_t len) {
    uint8_t *to = builder->values + builder->used;
    if (len <= MS_SLACK) {
        memcpy(to, data, MS_SLACK);
    } else {
        memcpy(to, data, len);
    }
    builder->used += len;
    builder->offsets[++builder->rows] = (uint32_t)builder->used;
}

/* ---- Output --------------------------------------------------------------------------------- */

typedef struct ms_output ms_output;

/* The builder of an output column, by its place in the output schema. A keyed operator's columns are
 * counted from 0 behind those of the key. */
ms_builder *ms_set(ms_output *output, size_t column);
/* Keeps the input: its columns become those of the same name and type that were not set, without the rows
 * rejected or skipped. Nothing is copied when all rows stay. */
void ms_keep(ms_output *output);
/* The same with row i of the output being row `rows[i]` of the input: filters and flat maps. */
void ms_keep_rows(ms_output *output, const uint32_t *rows, size_t count);
/* Hands an input row back to the host as a dead letter. Push no output for it. */
void ms_reject(ms_output *output, size_t row, const char *reason, ...) MS_PRINTF(3, 4);
/* Leaves an input row out of what is kept. */
void ms_skip(ms_output *output, size_t row);

/* ---- Config --------------------------------------------------------------------------------- */

typedef enum ms_setting_type {
    MS_STRING = 1,
    MS_NUMBER,
    MS_INTEGER, /* without fraction and exponent, 64 bits */
    MS_BOOL,
    MS_STRINGS, /* an array of strings */
    MS_OBJECTS  /* an array of objects, which `items` describes */
} ms_setting_type;

/* A key of a config. Tables of them end with an entry without a name; config and JSON Schema follow from
 * them, so that `open` is only called with a config that fits. */
typedef struct ms_setting {
    const char *name;
    ms_setting_type type;
    const char *about;
    bool optional;
    const char *fallback;            /* JSON of the value of an optional key that is not there, or NULL */
    double min, max;                 /* bounds of a number, where min < max */
    const char *const *choices;      /* strings that are allowed, ended by NULL; or NULL for any */
    const struct ms_setting *items;  /* of MS_OBJECTS */
} ms_setting;

typedef struct ms_config ms_config;

/* Values of keys that the table has; those of an optional key without `fallback` are empty. */
bool ms_config_has(const ms_config *config, const char *key);
ms_text ms_config_text(const ms_config *config, const char *key);
double ms_config_number(const ms_config *config, const char *key);
int64_t ms_config_integer(const ms_config *config, const char *key);
bool ms_config_boolean(const ms_config *config, const char *key);
size_t ms_config_count(const ms_config *config, const char *key);
ms_text ms_config_text_at(const ms_config *config, const char *key, size_t i);
const ms_config *ms_config_object_at(const ms_config *config, const char *key, size_t i);

/* ---- Opening -------------------------------------------------------------------------------- */

/* What `open` is given; all of it stays as long as the instance. */
typedef struct ms_open {
    const ms_config *config;
    ms_schema input;
    ms_schema keys; /* of keyed operators */
    void *inner;    /* the kit's */
} ms_open;

/* The place of an input column, which has to be of this type. Fails with its name, its type and the one needed. */
size_t ms_input(ms_open *open, ms_text column, ms_type type);
/* The same for any type. */
size_t ms_input_any(ms_open *open, ms_text column);
/* Adds an output column and answers with its place; the name must be new. */
size_t ms_output_field(ms_open *open, ms_text name, ms_type type, bool nullable);
/* Adds all input columns. */
void ms_output_input(ms_open *open);

/* ---- States --------------------------------------------------------------------------------- */

/* One state a group: what was written of it, byte for byte. */
typedef struct ms_states ms_states;

size_t ms_states_count(const ms_states *states);
/* For operators with a `state_size`: all states as an array of such values, to be changed in place; zero bytes
 * for a group that is new. Not copied unless some group is new. NULL on failure. */
void *ms_states_fixed(const ms_states *states);
/* A state as bytes; `data` is NULL for one that is new. */
ms_text ms_state(const ms_states *states, size_t i);
/* Replaces a state; the bytes are copied. */
void ms_state_put(ms_states *states, size_t i, const void *data, size_t len);

/* One key of a turn. */
typedef struct ms_key ms_key;

size_t ms_key_index(const ms_key *key);
const ms_batch *ms_key_columns(const ms_key *key); /* its row is `ms_key_index` */
const ms_batch *ms_key_rows(const ms_key *key);    /* the input */
ms_text ms_key_state(const ms_key *key);           /* `data` is NULL without a state */
void ms_key_put(ms_key *key, const void *data, size_t len);
void ms_key_drop(ms_key *key);
/* Sets the key's timer, in microseconds since the epoch; an earlier one is replaced. */
void ms_key_timer(ms_key *key, int64_t at);
void ms_key_reject(ms_key *key, size_t row, const char *reason, ...) MS_PRINTF(3, 4);
/* Begins an output row of this key; push one value into each column of what it answers. */
ms_output *ms_key_emit(ms_key *key);

/* ---- Plugins -------------------------------------------------------------------------------- */

typedef enum ms_kind { MS_TRANSFORM, MS_AGGREGATE, MS_KEYED } ms_kind;

/* An operator. `open` is called once an instance and answers with what the other functions get as `self`. */
typedef struct ms_operator {
    const char *name; /* lower-case letters, digits, hyphens */
    ms_kind kind;
    const char *summary;
    const ms_setting *settings;
    const char *config_schema; /* a JSON Schema in place of the one that follows from `settings`, or NULL */
    void *(*open)(ms_open *open);

    /* Of a transform: once a batch. It remembers nothing. */
    void (*process)(void *self, const ms_batch *batch, ms_output *output);

    /* Of an aggregate. Row r belongs to state `groups[r]`. */
    size_t state_size; /* 0 for states that are bytes */
    void (*accumulate)(void *self, ms_states *states, const uint32_t *groups, const ms_batch *batch);
    void (*merge)(void *self, ms_states *states, const ms_states *others);
    void (*retract)(void *self, ms_states *states, const ms_states *others); /* NULL if it cannot */
    void (*finish)(void *self, const ms_states *states, ms_output *output);

    /* Of a keyed operator: each row in its order, after the timer that was due. */
    void (*on_row)(void *self, ms_key *key, size_t row);
    void (*on_timer)(void *self, ms_key *key, int64_t at);
    /* Rewrites a state of an earlier version into `states`, which has it; NULL keeps its bytes. */
    void (*migrate)(void *self, ms_text from_version, ms_states *states, size_t i);
} ms_operator;

typedef struct ms_plugin {
    const char *name;
    const char *version;
    const char *summary;
    const ms_operator *const *operators;
    size_t operator_count;
} ms_plugin;

/* The plugin, which the kit looks for under this name. */
extern const ms_plugin millstream_plugin;

/* Defines it: name, version, summary, then the address of each operator. */
#define MS_PLUGIN(plugin_name, plugin_version, plugin_summary, ...)                                          \
    static const ms_operator *const millstream_operators[] = {__VA_ARGS__};                                  \
    const ms_plugin millstream_plugin = {plugin_name, plugin_version, plugin_summary, millstream_operators,  \
                                         sizeof millstream_operators / sizeof millstream_operators[0]}

/* ---- The host ------------------------------------------------------------------------------- */

typedef enum ms_level { MS_TRACE, MS_DEBUG, MS_INFO, MS_WARN, MS_ERROR } ms_level;

void ms_log(ms_level level, const char *format, ...) MS_PRINTF(2, 3);
void ms_count(const char *name, uint64_t by);
void ms_observe(const char *name, double value);

/* ---- JSON ----------------------------------------------------------------------------------- */

typedef enum ms_json_type {
    MS_JSON_NULL,
    MS_JSON_FALSE,
    MS_JSON_TRUE,
    MS_JSON_NUMBER,
    MS_JSON_STRING,
    MS_JSON_ARRAY,
    MS_JSON_OBJECT
} ms_json_type;

/* A value of a JSON document (RFC 8259). */
typedef struct ms_json {
    ms_json_type type;
    bool broken;               /* a string with half of a surrogate pair: no UTF-8 can be made of it */
    ms_text name;              /* of a member of an object */
    ms_text text;              /* the string, decoded; or the number as it was written */
    const struct ms_json *first, *next; /* the first element or member, and the one behind this */
} ms_json;

/* Reads a document into memory of `ms_alloc`; NULL when it is none. No failure. */
const ms_json *ms_json_read(ms_text document);
/* Gives back what `ms_alloc` gave since `mark`: for a document a row. */
typedef struct ms_mark {
    void *chunk;
    size_t used;
} ms_mark;
ms_mark ms_mark_now(void);
void ms_release(ms_mark mark);
/* The last member of this name; NULL if there is none, or it is no object. */
const ms_json *ms_json_member(const ms_json *object, ms_text name);
/* What an RFC 6901 pointer leads to, or NULL. */
const ms_json *ms_json_at(const ms_json *document, ms_text pointer);
/* A whole number: exact when written without fraction and exponent, otherwise within 2^53. */
bool ms_json_int64(const ms_json *value, int64_t *number);
bool ms_json_float64(const ms_json *value, double *number);

#ifdef __cplusplus
}
#endif
#endif
