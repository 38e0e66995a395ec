/* `json-pick`: typed columns out of JSON documents. A row that does not fit is rejected with the reason. */
#include "examples.h"

static const char *const type_names[] = {"boolean", "int64", "float64", "utf8", NULL};
static const ms_type types[] = {MS_BOOLEAN, MS_INT64, MS_FLOAT64, MS_UTF8};

static const ms_setting field_settings[] = {
    {"name", MS_STRING, "The output column."},
    {"pointer", MS_STRING, "An RFC 6901 pointer; `/` and the name when left out.", .optional = true},
    {"type", MS_STRING, "What the value has to be.", .choices = type_names},
    {NULL},
};

static const ms_setting settings[] = {
    {"column", MS_STRING, "The text column with a document a row."},
    {"fields", MS_OBJECTS, "What is picked, in the order of the output.", .items = field_settings},
    {NULL},
};

typedef struct picked {
    ms_text pointer;
    size_t type;
} picked;

typedef struct pick_state {
    size_t column, count;
    picked fields[];
} pick_state;

/* A pointer to the member of this name. */
static ms_text pointer_to(ms_text name) {
    char *pointer = ms_alloc(2 * name.len + 1);
    size_t len = 0;
    ms_text none = {NULL, 0};
    if (pointer == NULL) return none;
    pointer[len++] = '/';
    memcpy(pointer + len, name.data, name.len);
    ms_text made = {pointer, len + name.len};
    return made;
}

static void *open(ms_open *open) {
    size_t count = ms_config_count(open->config, "fields");
    pick_state *self = ms_alloc(sizeof *self + count * sizeof(picked));
    if (self == NULL) return NULL;
    self->column = ms_input(open, ms_config_text(open->config, "column"), MS_UTF8);
    self->count = count;
    for (size_t i = 0; i < count; i++) {
        const ms_config *field = ms_config_object_at(open->config, "fields", i);
        ms_text name = ms_config_text(field, "name");
        picked *to = &self->fields[i];
        to->pointer = ms_config_has(field, "pointer") ? ms_config_text(field, "pointer") : pointer_to(name);
        for (to->type = 0; !ms_text_is(ms_config_text(field, "type"), type_names[to->type]);) to->type++;
        if (to->pointer.len > 0 && to->pointer.data[0] != '/') {
            ms_fail("config.fields[%zu].pointer is `%.*s`: a pointer is empty or begins with `/`", i,
                    (int)to->pointer.len, to->pointer.data);
        }
        ms_output_field(open, name, types[to->type], true);
    }
    return self;
}

/* Whether a value is of a type; null and nothing are of all. */
static bool fits(const ms_json *value, ms_type type) {
    int64_t whole;
    if (value == NULL || value->type == MS_JSON_NULL) return true;
    switch (type) {
    case MS_BOOLEAN: return value->type == MS_JSON_TRUE || value->type == MS_JSON_FALSE;
    case MS_INT64: return ms_json_int64(value, &whole);
    case MS_FLOAT64: return value->type == MS_JSON_NUMBER;
    default: return value->type == MS_JSON_STRING;
    }
}

static void push(ms_builder *builder, const ms_json *value, ms_type type) {
    int64_t whole;
    double number;
    if (value == NULL || value->type == MS_JSON_NULL) {
        ms_push_null(builder);
    } else if (type == MS_BOOLEAN) {
        ms_push_boolean(builder, value->type == MS_JSON_TRUE);
    } else if (type == MS_INT64 && ms_json_int64(value, &whole)) {
        ms_push_int64(builder, whole);
    } else if (type == MS_FLOAT64 && ms_json_float64(value, &number)) {
        ms_push_float64(builder, number);
    } else {
        ms_push_text(builder, value->text.data, value->text.len);
    }
}

/* The values of a document; false when the row was rejected. */
static bool pick(const pick_state *self, const ms_json *document, size_t row, const ms_json **values, ms_output *output) {
    for (size_t i = 0; i < self->count; i++) {
        const picked *field = &self->fields[i];
        values[i] = ms_json_at(document, field->pointer);
        if (!fits(values[i], types[field->type])) {
            ms_reject(output, row, "%.*s is no %s", (int)field->pointer.len, field->pointer.data, type_names[field->type]);
            return false;
        }
        if (values[i] != NULL && values[i]->broken && types[field->type] == MS_UTF8) {
            ms_reject(output, row, "%.*s holds half of a surrogate pair, which is no text", (int)field->pointer.len,
                      field->pointer.data);
            return false;
        }
    }
    return true;
}

static void process(void *opaque, const ms_batch *batch, ms_output *output) {
    const pick_state *self = opaque;
    const ms_column *text = &batch->columns[self->column];
    const ms_json **values = ms_alloc((self->count + 1) * sizeof *values);
    if (values == NULL) return;
    for (size_t i = 0; i < self->count; i++) ms_set(output, i);
    for (size_t row = 0; row < batch->rows && !ms_failed(); row++) {
        ms_mark mark = ms_mark_now();
        const ms_json *document = NULL;
        if (!ms_is_null(text, row)) {
            document = ms_json_read(ms_get_text(text, row));
            if (document == NULL) {
                ms_release(mark);
                ms_reject(output, row, "not JSON");
                continue;
            }
        }
        /* A reason has to outlive the document, so memory is given back only where there is none. */
        if (!pick(self, document, row, values, output)) continue;
        for (size_t i = 0; i < self->count; i++) push(ms_set(output, i), values[i], types[self->fields[i].type]);
        ms_release(mark);
    }
}

const ms_operator json_pick = {
    .name = "json-pick",
    .kind = MS_TRANSFORM,
    .summary = "Picks typed columns out of JSON documents.",
    .settings = settings,
    .open = open,
    .process = process,
};
