/* The host of native tests: rows from JSON and to JSON, states and timers kept in between. */
#include "millstream_testing.h"
#include "../core.h"

#include <stdio.h>
#include <stdlib.h>

#define FIELDS_MAX 32
#define KEYS_MAX 256

/* ---- Text that outlives calls into the kit ---- */

typedef struct sheet {
    char *data;
    size_t len, room;
} sheet;

static sheet rows_sheet, rejected_sheet, error_sheet, schema_sheet, heard_sheet;

static void write_bytes(sheet *to, const char *data, size_t len) {
    if (to->len + len + 1 > to->room) {
        to->room = (to->len + len + 1) * 2;
        to->data = realloc(to->data, to->room);
        if (to->data == NULL) abort();
    }
    if (len > 0) memcpy(to->data + to->len, data, len);
    to->len += len;
    to->data[to->len] = 0;
}

static void write_text(sheet *to, const char *words) { write_bytes(to, words, strlen(words)); }

static void clear(sheet *which) {
    which->len = 0;
    write_text(which, "");
}

/* ---- Rows in ---- */

typedef struct table {
    ms_schema schema;
    ms_field fields[FIELDS_MAX];
} table;

static void read_schema(const char *words, table *to) {
    to->schema.fields = to->fields;
    to->schema.count = 0;
    while (*words != 0 && to->schema.count < FIELDS_MAX) {
        size_t name = strcspn(words, " "), type = strcspn(words + name + 1, "?,"), found = 0;
        ms_text type_text = {words + name + 1, type};
        while (found <= MS_BINARY && !ms_text_is(type_text, ms_type_name((ms_type)found))) found++;
        if (found > MS_BINARY) fprintf(stderr, "the schema has no type behind `%.*s`\n", (int)name, words), abort();
        ms_field field = {{words, name}, (ms_type)found, words[name + 1 + type] == '?'};
        to->fields[to->schema.count++] = field;
        words += name + 1 + type + field.nullable;
        words += strspn(words, ", ");
    }
}

static void push_json(ms_builder *builder, const ms_json *value) {
    int64_t whole = 0;
    double number = 0;
    if (value == NULL || value->type == MS_JSON_NULL) {
        ms_push_null(builder);
        return;
    }
    switch (builder->field.type) {
    case MS_BOOLEAN: ms_push_boolean(builder, value->type == MS_JSON_TRUE); return;
    case MS_UTF8:
    case MS_BINARY: ms_push_text(builder, value->text.data, value->text.len); return;
    case MS_FLOAT32: ms_json_float64(value, &number), ms_push_float32(builder, (float)number); return;
    case MS_FLOAT64: ms_json_float64(value, &number), ms_push_float64(builder, number); return;
    case MS_INT32:
    case MS_DATE: ms_json_int64(value, &whole), ms_push_int32(builder, (int32_t)whole); return;
    default: ms_json_int64(value, &whole), ms_push_int64(builder, whole); return;
    }
}

/* Rows `from` and later, at most `count`, as the host would hand them over. */
static ms_raw_batch read_rows(const ms_schema *schema, const char *json, size_t from, size_t count) {
    ms_raw_batch batch = {0, calloc(schema->count + 1, sizeof(ms_raw_column)), schema->count};
    ms_builder builders[FIELDS_MAX];
    memset(builders, 0, sizeof builders);
    for (size_t i = 0; i < schema->count; i++) builders[i].field = schema->fields[i], builders[i].field.nullable = true;
    ms_begin_call(NULL, NULL);
    for (size_t row = 0; *json != 0; row++) {
        ms_text line = {json, strcspn(json, "\n")};
        json += line.len + (json[line.len] == '\n');
        if (row < from || row - from >= count) continue;
        const ms_json *object = ms_json_read(line);
        if (object == NULL) fprintf(stderr, "the test's row %zu is not JSON\n", row), abort();
        for (size_t i = 0; i < schema->count; i++) {
            push_json(&builders[i], ms_json_member(object, schema->fields[i].name));
        }
        batch.rows++;
    }
    for (size_t i = 0; i < schema->count; i++) batch.columns[i] = ms_finish_builder(&builders[i]);
    if (schema->count == 0) free(batch.columns), batch.columns = NULL;
    return batch;
}

/* ---- Rows out ---- */

static void write_string(sheet *to, ms_text text) {
    write_text(to, "\"");
    for (size_t i = 0; i < text.len; i++) {
        char escaped[8];
        unsigned char c = (unsigned char)text.data[i];
        if (c == '"' || c == '\\' || c < 0x20) {
            snprintf(escaped, sizeof escaped, c < 0x20 ? "\\u%04x" : "\\%c", c);
            write_text(to, escaped);
        } else {
            write_bytes(to, text.data + i, 1);
        }
    }
    write_text(to, "\"");
}

static void write_value(sheet *to, const ms_column *column, size_t row) {
    char number[64];
    if (ms_is_null(column, row)) {
        write_text(to, "null");
        return;
    }
    switch (column->field->type) {
    case MS_UTF8:
    case MS_BINARY: write_string(to, ms_get_text(column, row)); return;
    case MS_BOOLEAN: write_text(to, ms_get_boolean(column, row) ? "true" : "false"); return;
    case MS_FLOAT32: snprintf(number, sizeof number, "%.9g", (double)column->as.float32[row]); break;
    case MS_FLOAT64: snprintf(number, sizeof number, "%.17g", column->as.float64[row]); break;
    case MS_INT32:
    case MS_DATE: snprintf(number, sizeof number, "%d", (int)column->as.int32[row]); break;
    default: snprintf(number, sizeof number, "%lld", (long long)column->as.int64[row]); break;
    }
    write_text(to, number);
}

/* Writes the rows and frees the batch. */
static void write_rows(const ms_schema *schema, ms_raw_batch *raw) {
    ms_batch batch;
    ms_begin_call(NULL, NULL);
    if (!ms_view(schema, raw, &batch)) fprintf(stderr, "%s\n", ms_failure().data), abort();
    for (size_t row = 0; row < batch.rows; row++) {
        for (size_t i = 0; i < schema->count; i++) {
            write_text(&rows_sheet, i == 0 ? "{" : ",");
            write_string(&rows_sheet, schema->fields[i].name);
            write_text(&rows_sheet, ":");
            write_value(&rows_sheet, &batch.columns[i], row);
        }
        write_text(&rows_sheet, "}\n");
    }
    for (size_t i = 0; i < raw->count; i++) ms_free_column(&raw->columns[i]);
    if (raw->count > 0) free(raw->columns);
}

static void write_rejected(ms_rejections *rejected) {
    for (size_t i = 0; i < rejected->count; i++) {
        char row[32];
        snprintf(row, sizeof row, "%u: ", (unsigned)rejected->list[i].row);
        write_text(&rejected_sheet, row);
        write_bytes(&rejected_sheet, rejected->list[i].reason.data, rejected->list[i].reason.len);
        write_text(&rejected_sheet, "\n");
    }
    free(rejected->list);
}

static void begin_test(void) {
    clear(&rows_sheet);
    clear(&rejected_sheet);
    clear(&error_sheet);
}

static ms_test told(bool good) {
    if (!good) write_bytes(&error_sheet, ms_failure().data, ms_failure().len);
    ms_test answer = {rows_sheet.data, rejected_sheet.data, good ? NULL : error_sheet.data};
    return answer;
}

/* ---- Transforms and aggregates ---- */

static table input;
static ms_schema output;

ms_test ms_test_transform(const char *operator_, const char *config, const char *schema, const char *rows) {
    ms_clock clock = {1, 1000000, false, 0};
    ms_schema none = {NULL, 0};
    begin_test();
    read_schema(schema, &input);
    if (!ms_core_open(MS_TRANSFORM, ms_text_of(operator_), ms_text_of(config), none, input.schema, &output)) return told(false);
    ms_raw_batch given = read_rows(&input.schema, rows, 0, SIZE_MAX), made = {0, NULL, 0};
    ms_rejections rejected = {NULL, 0, 0};
    if (!ms_core_process(&clock, &given, &made, &rejected)) return told(false);
    write_rejected(&rejected);
    write_rows(&output, &made);
    return told(true);
}

/* A state that is null. */
static ms_raw_column new_state(void) {
    ms_raw_column column = {ms_raw_of("\0", 1), ms_raw_of("\0\0\0\0\0\0\0\0", 8), {NULL, 0}};
    return column;
}

/* The keys seen, with what is kept of each. */
static struct {
    size_t count;
    char *name[KEYS_MAX];
    ms_raw_column state[KEYS_MAX]; /* a column of one state */
    bool has_timer[KEYS_MAX];
    int64_t timer[KEYS_MAX];
} kept;

static void forget(void) {
    for (size_t i = 0; i < kept.count; i++) {
        free(kept.name[i]);
        ms_free_column(&kept.state[i]);
    }
    memset(&kept, 0, sizeof kept);
}

static size_t key_of(ms_text name) {
    for (size_t i = 0; i < kept.count; i++) {
        if (ms_text_is(name, kept.name[i])) return i;
    }
    if (kept.count == KEYS_MAX) abort();
    kept.name[kept.count] = calloc(name.len + 1, 1);
    memcpy(kept.name[kept.count], name.data, name.len);
    kept.state[kept.count] = new_state();
    return kept.count++;
}

/* The key of the first row of a batch: the text of the column `by`. */
static size_t key_of_row(const ms_raw_batch *raw, const char *by) {
    size_t place = ms_find_field(&input.schema, ms_text_of(by));
    ms_batch batch;
    ms_begin_call(NULL, NULL);
    if (place == MS_NO_ROW || !ms_view(&input.schema, raw, &batch)) abort();
    return key_of(ms_get_text(&batch.columns[place], 0));
}

ms_test ms_test_aggregate(const char *operator_, const char *config, const char *schema, const char *rows, const char *by) {
    ms_schema none = {NULL, 0};
    uint32_t group = 0;
    begin_test();
    forget();
    read_schema(schema, &input);
    if (!ms_core_open(MS_AGGREGATE, ms_text_of(operator_), ms_text_of(config), none, input.schema, &output)) return told(false);
    for (size_t row = 0;; row++) {
        ms_raw_batch given = read_rows(&input.schema, rows, row, 1);
        ms_raw_column part;
        if (given.rows == 0) {
            for (size_t i = 0; i < given.count; i++) ms_free_column(&given.columns[i]);
            free(given.columns);
            break;
        }
        size_t key = key_of_row(&given, by);
        if (!ms_core_accumulate(new_state(), &group, 1, &given, &part)) return told(false);
        ms_raw_column left = kept.state[key];
        memset(&kept.state[key], 0, sizeof kept.state[key]);
        if (!ms_core_merge(left, part, &kept.state[key])) return told(false);
    }
    for (size_t i = 0; i < kept.count; i++) {
        ms_raw_batch made = {0, NULL, 0};
        ms_raw_column state = kept.state[i];
        memset(&kept.state[i], 0, sizeof kept.state[i]);
        if (!ms_core_finish(state, &made)) return told(false);
        write_rows(&output, &made);
    }
    forget();
    return told(true);
}

/* ---- Keyed operators ---- */

static char key_name[64];
static table key_table;

ms_test ms_test_keyed(const char *operator_, const char *config, const char *schema, const char *by) {
    begin_test();
    forget();
    read_schema(schema, &input);
    snprintf(key_name, sizeof key_name, "%s", by);
    ms_field key = {ms_text_of(key_name), MS_UTF8, true};
    key_table.fields[0] = key;
    key_table.schema.fields = key_table.fields;
    key_table.schema.count = 1;
    return told(ms_core_open(MS_KEYED, ms_text_of(operator_), ms_text_of(config), key_table.schema, input.schema, &output));
}

/* One key in one turn, as the host may do it: its timer if it is due, and one row or none. */
static bool turn_of(size_t key, const ms_clock *clock, ms_raw_batch rows) {
    ms_timer due = {0, kept.timer[key]};
    uint32_t row_key = 0;
    bool is_due = kept.has_timer[key] && kept.timer[key] <= clock->watermark;
    uint32_t offsets[2] = {0, (uint32_t)strlen(kept.name[key])};
    ms_raw_column *column = calloc(1, sizeof *column);
    column->offsets = ms_raw_of(offsets, sizeof offsets);
    column->values = ms_raw_of(kept.name[key], offsets[1]);
    ms_raw_batch keys = {1, column, 1};
    ms_turn turn = {keys, kept.state[key], rows, &row_key, rows.rows, &due, is_due};
    ms_outcome outcome;
    memset(&kept.state[key], 0, sizeof kept.state[key]);
    if (is_due) kept.has_timer[key] = false;
    if (!ms_core_turn(clock, &turn, &outcome)) return false;
    kept.state[key] = outcome.states;
    for (size_t i = 0; i < outcome.timer_count; i++) kept.has_timer[key] = true, kept.timer[key] = outcome.timers[i].at;
    free(outcome.timers);
    write_rejected(&outcome.rejected);
    write_rows(&output, &outcome.output);
    return true;
}

ms_test ms_test_turn(int64_t watermark, const char *rows) {
    ms_clock clock = {1, watermark, true, watermark};
    begin_test();
    for (size_t key = 0; key < kept.count; key++) {
        if (kept.has_timer[key] && kept.timer[key] <= watermark &&
            !turn_of(key, &clock, read_rows(&input.schema, "", 0, 0))) {
            return told(false);
        }
    }
    for (size_t row = 0;; row++) {
        ms_raw_batch given = read_rows(&input.schema, rows, row, 1);
        if (given.rows == 0) {
            for (size_t i = 0; i < given.count; i++) ms_free_column(&given.columns[i]);
            free(given.columns);
            return told(true);
        }
        if (!turn_of(key_of_row(&given, key_name), &clock, given)) return told(false);
    }
}

size_t ms_test_states(void) {
    size_t count = 0;
    for (size_t i = 0; i < kept.count; i++) {
        const ms_raw *validity = &kept.state[i].validity;
        count += validity->len == 0 ? kept.state[i].offsets.len > 0 : validity->data[0] & 1;
    }
    return count;
}

const char *ms_test_schema(const char *operator_) {
    clear(&schema_sheet);
    for (size_t i = 0; i < millstream_plugin.operator_count; i++) {
        if (strcmp(millstream_plugin.operators[i]->name, operator_) != 0) continue;
        ms_begin_call(NULL, NULL);
        ms_text schema = ms_config_schema(millstream_plugin.operators[i]);
        write_bytes(&schema_sheet, schema.data, schema.len);
    }
    return schema_sheet.data;
}

/* ---- What operators tell ---- */

void ms_host_log(ms_level level, ms_text message) {
    write_text(&heard_sheet, level >= MS_WARN ? "warn " : "log ");
    write_bytes(&heard_sheet, message.data, message.len);
    write_text(&heard_sheet, "\n");
}

void ms_host_count(ms_text name, uint64_t by) {
    char number[32];
    snprintf(number, sizeof number, " %llu\n", (unsigned long long)by);
    write_text(&heard_sheet, "count ");
    write_bytes(&heard_sheet, name.data, name.len);
    write_text(&heard_sheet, number);
}

void ms_host_observe(ms_text name, double value) {
    char number[64];
    snprintf(number, sizeof number, " %.17g\n", value);
    write_text(&heard_sheet, "observe ");
    write_bytes(&heard_sheet, name.data, name.len);
    write_text(&heard_sheet, number);
}

const char *ms_test_heard(void) {
    static sheet answer;
    clear(&answer);
    write_bytes(&answer, heard_sheet.data, heard_sheet.len);
    clear(&heard_sheet);
    return answer.data;
}

void ms_test_is_at(const char *file, int line, const char *found, const char *wanted) {
    if (found == NULL) found = "(nothing)";
    if (wanted == NULL) wanted = "(nothing)";
    if (strcmp(found, wanted) == 0) return;
    fprintf(stderr, "%s:%d: found\n%s\nwanted\n%s\n", file, line, found, wanted);
    exit(1);
}
