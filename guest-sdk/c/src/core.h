/* What the files of the kit share. A column is "raw" as it crosses the boundary: three buffers of malloc,
 * which belong to whoever holds them. */
#ifndef MILLSTREAM_CORE_H
#define MILLSTREAM_CORE_H

#include "millstream.h"

#include <stdarg.h>

typedef struct ms_raw {
    uint8_t *data;
    size_t len;
} ms_raw;

typedef struct ms_raw_column {
    ms_raw validity, offsets, values;
} ms_raw_column;

typedef struct ms_raw_batch {
    size_t rows;
    ms_raw_column *columns;
    size_t count;
} ms_raw_batch;

typedef struct ms_rejection {
    uint32_t row;
    ms_text reason;
} ms_rejection;

typedef struct ms_rejections {
    ms_rejection *list;
    size_t count, room;
} ms_rejections;

typedef struct ms_timer {
    uint32_t key;
    int64_t at;
} ms_timer;

/* ---- memory.c: memory of a call, failures, text made of pieces ---- */
void ms_begin_call(const char *operator_name, const ms_clock *clock);
/* What is at work, for the last words of an operator that aborts. */
typedef struct ms_at_work {
    const char *operator_name; /* NULL outside of operators */
    const char *function;
    ms_text column; /* what was read last by its name; `data` is NULL for none */
    size_t row;     /* MS_NO_ROW for none */
} ms_at_work;
extern ms_at_work ms_work;
/* Called before each function of an operator. */
void ms_enter(const ms_operator *operator_, const char *function);
/* Who aborts, where, and what had failed before; ended by a zero. */
void ms_last_words(char *words, size_t room);
/* From now on `ms_alloc` gives memory that stays. */
void ms_keep_memory(bool keep);
ms_text ms_failure(void);
ms_text ms_copy_text(ms_text text);
/* A formatted text in memory of `ms_alloc`. */
ms_text ms_format(const char *format, ...) MS_PRINTF(1, 2);
ms_text ms_format_list(const char *format, va_list arguments);
/* A growing array in memory of malloc: room for one more of `size` bytes, or false and a failure. */
bool ms_grow(void **array, size_t *room, size_t count, size_t size);
/* Memory of malloc that the host gets or gave: freed unless empty. */
void ms_free_raw(ms_raw *raw);
void ms_free_column(ms_raw_column *column);
/* A copy of bytes, in memory of malloc. */
ms_raw ms_raw_of(const void *data, size_t len);

typedef struct ms_words {
    char *data;
    size_t len, room;
} ms_words;
void ms_words_add(ms_words *words, ms_text piece);
void ms_words_string(ms_words *words, const char *piece);
/* As a JSON string, with quotes. */
void ms_words_quoted(ms_words *words, const char *piece);
/* The end of a message: the known name that was most likely meant, or all of them. */
ms_text ms_nearest(ms_text name, const ms_text *known, size_t count);

/* ---- columns.c ---- */
const char *ms_type_name(ms_type type);
/* The type of a format string of Arrow; false for one that this kit does not know. */
bool ms_type_of(ms_text format, ms_type *type);
const char *ms_type_format(ms_type type);
/* Bytes of a value; 0 for boolean, utf8 and binary. */
size_t ms_type_width(ms_type type);
bool ms_type_is_bytes(ms_type type);
size_t ms_find_field(const ms_schema *schema, ms_text name); /* MS_NO_ROW for none */
/* Views of raw columns, in memory of `ms_alloc`; false and a failure when a buffer is too short. */
bool ms_view(const ms_schema *schema, const ms_raw_batch *raw, ms_batch *batch);
/* Rows `rows` of a column, in their order. */
ms_raw_column ms_select(const ms_column *column, const uint32_t *rows, size_t count);

/* ---- builders.c ---- */
/* What has been built, checked; the builder is empty afterwards. */
ms_raw_column ms_finish_builder(ms_builder *builder);
void ms_drop_builder(ms_builder *builder);

/* ---- output.c ---- */
struct ms_output {
    ms_schema schema;
    ms_builder *builders;
    /* The input, for `ms_keep`: buffers are moved out of it when all rows stay. */
    const ms_batch *input;
    ms_raw_batch *raw_input;
    bool kept, kept_some;
    uint32_t *kept_rows;
    size_t kept_count;
    uint32_t *left_out;
    size_t left_out_count, left_out_room;
    ms_rejections rejections;
};
void ms_output_begin(ms_output *output, ms_schema schema, const ms_batch *input, ms_raw_batch *raw_input);
/* Fills `finished`; false and a failure when columns are missing or differ in length. With `rows` not
 * MS_NO_ROW, each column has to have so many. */
bool ms_output_finish(ms_output *output, size_t rows, ms_raw_batch *finished);
void ms_output_drop(ms_output *output);
/* All columns are set: those of an output without rows are empty, not forgotten. */
void ms_output_empty(ms_output *output);
void ms_note_rejection(ms_rejections *rejections, size_t row, ms_text reason);
/* By row, one a row. */
void ms_sort_rejections(ms_rejections *rejections);

/* ---- config.c ---- */
/* Reads and checks; NULL and a failure that names the key. */
const ms_config *ms_config_read(const ms_setting *settings, ms_text json);
ms_text ms_config_schema(const ms_operator *operator_);

/* ---- states.c ---- */
struct ms_states {
    size_t count;
    size_t width;
    ms_raw_column raw;
    ms_text *replaced; /* NULL until a state is replaced */
    bool *is_replaced;
    uint8_t *fixed; /* states of fixed width, once asked for */
    bool fixed_is_raw;
};
bool ms_states_begin(ms_states *states, size_t width, ms_raw_column raw);
/* The states as they are now; moves the buffers out. */
ms_raw_column ms_states_finish(ms_states *states);
void ms_states_drop(ms_states *states);
void ms_state_remove(ms_states *states, size_t i);

/* ---- operators.c, aggregate.c, keyed.c: what the exports of a component do; all answer false with a failure ---- */
typedef struct ms_turn {
    ms_raw_batch keys;
    ms_raw_column states;
    ms_raw_batch rows;
    const uint32_t *row_keys;
    size_t row_key_count;
    const ms_timer *due;
    size_t due_count;
} ms_turn;

typedef struct ms_outcome {
    ms_raw_batch output;
    ms_raw_column states;
    ms_timer *timers;
    size_t timer_count;
    ms_rejections rejected;
} ms_outcome;

/* The open operator; a component has one. */
typedef struct ms_opened {
    const ms_operator *operator_; /* NULL before `open` */
    void *self;
    ms_schema input, keys;
    ms_schema output; /* of a keyed operator: all of it, the key's columns first */
} ms_opened;
/* Begins a call; NULL and a failure when no operator of this kind is open. */
const ms_opened *ms_begin(ms_kind kind, const ms_clock *clock);
bool ms_groups_fit(const uint32_t *groups, size_t count, size_t rows, size_t states);
void ms_free_batch(ms_raw_batch *batch);

bool ms_core_open(ms_kind kind, ms_text name, ms_text config, ms_schema keys, ms_schema input, ms_schema *output);
/* These take over the buffers they are given. */
bool ms_core_process(const ms_clock *clock, ms_raw_batch *input, ms_raw_batch *output, ms_rejections *rejected);
bool ms_core_accumulate(ms_raw_column states, const uint32_t *groups, size_t group_count, ms_raw_batch *input, ms_raw_column *answer);
bool ms_core_merge(ms_raw_column left, ms_raw_column right, ms_raw_column *answer);
bool ms_core_retract(ms_raw_column left, ms_raw_column right, ms_raw_column *answer);
bool ms_core_finish(ms_raw_column states, ms_raw_batch *answer);
bool ms_core_turn(const ms_clock *clock, ms_turn *turn, ms_outcome *outcome);
bool ms_core_migrate(ms_text from_version, ms_raw_column states, ms_raw_column *answer);

/* ---- wasm/glue.c, or native/testing.c in native tests ---- */
void ms_host_log(ms_level level, ms_text message);
void ms_host_count(ms_text name, uint64_t by);
void ms_host_observe(ms_text name, double value);
/* Ends the instance with the last words on stderr: wasm/abort.c. */
_Noreturn void ms_abort(void);

#endif
