/* Between the generated bindings and the kit. Their columns have the layout of ours, so that nothing is
 * copied: the buffers that the host wrote are what an operator reads, and those of builders are what it gets. */
#include "../../bindings/plugin.h"
#include "../core.h"

#include <stdlib.h>

_Static_assert(sizeof(ms_raw_column) == sizeof(millstream_plugin_data_column_t), "columns are told apart");
_Static_assert(sizeof(ms_timer) == sizeof(exports_millstream_plugin_keyed_timer_t), "timers are told apart");

static ms_text text(const plugin_string_t *string) {
    ms_text words = {(const char *)string->ptr, string->len};
    return words;
}

/* The host frees strings that it gets: it needs copies of its own. Without memory for one it is empty, and the call
 * has failed. */
static void give(plugin_string_t *string, ms_text words) {
    ms_raw copy = ms_raw_of(words.data, words.len);
    string->ptr = copy.data;
    string->len = copy.len;
}

/* The same for a list of values that are all zero. */
static void *give_list(size_t count, size_t size) {
    void *list = count == 0 ? NULL : calloc(count, size);
    if (list == NULL && count > 0) ms_fail("there is no memory for %zu values", count);
    return list;
}

/* Without memory even for the failure, it is among the last words. */
static bool answer(bool good, plugin_string_t *err) {
    if (good) return true;
    ms_text failure = ms_failure();
    give(err, failure);
    if (err->len != failure.len) ms_abort();
    return false;
}

static ms_raw_column column(const millstream_plugin_data_column_t *given) {
    ms_raw_column taken;
    memcpy(&taken, given, sizeof taken);
    return taken;
}

static void give_column(millstream_plugin_data_column_t *to, const ms_raw_column *from) { memcpy(to, from, sizeof *to); }

static ms_raw_batch batch(const millstream_plugin_data_batch_t *given) {
    ms_raw_batch taken = {given->rows, (ms_raw_column *)(void *)given->columns.ptr, given->columns.len};
    return taken;
}

static void give_batch(millstream_plugin_data_batch_t *to, const ms_raw_batch *from) {
    to->rows = (uint32_t)from->rows;
    to->columns.ptr = (millstream_plugin_data_column_t *)(void *)from->columns;
    to->columns.len = from->count;
}

static ms_clock clock_of(const millstream_plugin_data_clock_t *told) {
    ms_clock clock = {told->batch_id, told->now, told->watermark.is_some, told->watermark.val};
    return clock;
}

/* ---- Memory that the host asks for ---- */

/* In place of the bindings' own: that one aborts, which would write on stderr, and while the host hands over what a
 * call is given, nothing outside may be called. */
__attribute__((__export_name__("cabi_realloc")))
void *cabi_realloc(void *old, size_t old_size, size_t align, size_t new_size) {
    (void)old_size;
    if (new_size == 0) return (void *)align;
    void *memory = realloc(old, new_size);
    if (memory == NULL) __builtin_trap();
    return memory;
}

/* ---- Catalog ---- */

void exports_millstream_plugin_catalog_describe(exports_millstream_plugin_catalog_description_t *ret) {
    const ms_plugin *plugin = &millstream_plugin;
    ms_begin_call(NULL, NULL);
    give(&ret->name, ms_text_of(plugin->name));
    give(&ret->version, ms_text_of(plugin->version));
    give(&ret->summary, ms_text_of(plugin->summary));
    ret->operators.ptr = give_list(plugin->operator_count, sizeof *ret->operators.ptr);
    ret->operators.len = plugin->operator_count;
    for (size_t i = 0; i < plugin->operator_count && !ms_failed(); i++) {
        const ms_operator *operator_ = plugin->operators[i];
        exports_millstream_plugin_catalog_operator_t *told = &ret->operators.ptr[i];
        give(&told->name, ms_text_of(operator_->name));
        told->kind = (exports_millstream_plugin_catalog_kind_t)operator_->kind;
        give(&told->summary, ms_text_of(operator_->summary));
        give(&told->config_schema, ms_config_schema(operator_));
        told->retracts = operator_->retract != NULL;
    }
    /* A description cannot be an error. */
    if (ms_failed()) ms_abort();
}

/* ---- Opening ---- */

/* Columns of types that the kit does not know could be kept by nobody, so the error says which one it is. */
static bool read_schema(const exports_millstream_plugin_transform_list_field_t *fields, ms_schema *schema) {
    ms_field *read = give_list(fields->len, sizeof *read);
    if (ms_failed()) return false;
    schema->fields = read;
    schema->count = fields->len;
    for (size_t i = 0; i < fields->len; i++) {
        ms_text format = text(&fields->ptr[i].data_type);
        read[i].name = text(&fields->ptr[i].name);
        read[i].nullable = fields->ptr[i].nullable;
        if (!ms_type_of(format, &read[i].type)) {
            ms_fail_at(read[i].name, MS_NO_ROW, "its type `%.*s` is unknown to this kit", (int)format.len, format.data);
            return false;
        }
    }
    return true;
}

static void give_schema(exports_millstream_plugin_transform_list_field_t *to, const ms_schema *schema) {
    to->ptr = give_list(schema->count, sizeof *to->ptr);
    to->len = to->ptr == NULL ? 0 : schema->count;
    for (size_t i = 0; i < schema->count && !ms_failed(); i++) {
        give(&to->ptr[i].name, schema->fields[i].name);
        give(&to->ptr[i].data_type, ms_text_of(ms_type_format(schema->fields[i].type)));
        to->ptr[i].nullable = schema->fields[i].nullable;
    }
}

static bool open_any(ms_kind kind, plugin_string_t *name, plugin_string_t *config,
                     exports_millstream_plugin_transform_list_field_t *keys,
                     exports_millstream_plugin_transform_list_field_t *input,
                     exports_millstream_plugin_transform_list_field_t *ret, plugin_string_t *err) {
    ms_schema key_schema = {NULL, 0}, input_schema = {NULL, 0}, output;
    ms_begin_call(NULL, NULL);
    bool good = (keys == NULL || read_schema(keys, &key_schema)) && read_schema(input, &input_schema) &&
                ms_core_open(kind, text(name), text(config), key_schema, input_schema, &output);
    if (good) {
        give_schema(ret, &output);
        good = !ms_failed();
        if (!good) exports_millstream_plugin_transform_list_field_free(ret);
    }
    free((void *)(uintptr_t)key_schema.fields);
    free((void *)(uintptr_t)input_schema.fields);
    plugin_string_free(name);
    plugin_string_free(config);
    exports_millstream_plugin_transform_list_field_free(input);
    if (keys != NULL) exports_millstream_plugin_transform_list_field_free(keys);
    return answer(good, err);
}

typedef exports_millstream_plugin_transform_list_field_t fields_t;

bool exports_millstream_plugin_transform_open(plugin_string_t *name, plugin_string_t *config, fields_t *input,
                                              fields_t *ret, plugin_string_t *err) {
    return open_any(MS_TRANSFORM, name, config, NULL, input, ret, err);
}

bool exports_millstream_plugin_aggregate_open(plugin_string_t *name, plugin_string_t *config,
                                              exports_millstream_plugin_aggregate_list_field_t *input,
                                              exports_millstream_plugin_aggregate_list_field_t *ret,
                                              plugin_string_t *err) {
    return open_any(MS_AGGREGATE, name, config, NULL, (fields_t *)(void *)input, (fields_t *)(void *)ret, err);
}

bool exports_millstream_plugin_keyed_open(plugin_string_t *name, plugin_string_t *config,
                                          exports_millstream_plugin_keyed_list_field_t *keys,
                                          exports_millstream_plugin_keyed_list_field_t *input,
                                          exports_millstream_plugin_keyed_list_field_t *ret, plugin_string_t *err) {
    return open_any(MS_KEYED, name, config, (fields_t *)(void *)keys, (fields_t *)(void *)input,
                    (fields_t *)(void *)ret, err);
}

/* ---- Running ---- */

static bool give_rejections(exports_millstream_plugin_transform_list_rejection_t *to, ms_rejections *from) {
    to->ptr = give_list(from->count, sizeof *to->ptr);
    to->len = to->ptr == NULL ? 0 : from->count;
    for (size_t i = 0; i < from->count && !ms_failed(); i++) {
        to->ptr[i].row = from->list[i].row;
        give(&to->ptr[i].reason, from->list[i].reason);
    }
    free(from->list);
    return !ms_failed();
}

bool exports_millstream_plugin_transform_process(millstream_plugin_data_clock_t *clock,
                                                 millstream_plugin_data_batch_t *input,
                                                 exports_millstream_plugin_transform_output_t *ret,
                                                 plugin_string_t *err) {
    ms_clock told = clock_of(clock);
    ms_raw_batch given = batch(input), made = {0, NULL, 0};
    ms_rejections rejected = {NULL, 0, 0};
    bool good = ms_core_process(&told, &given, &made, &rejected);
    if (good) {
        give_batch(&ret->batch, &made);
        good = give_rejections(&ret->rejected, &rejected);
        if (!good) exports_millstream_plugin_transform_output_free(ret);
    }
    return answer(good, err);
}

bool exports_millstream_plugin_aggregate_accumulate(millstream_plugin_data_column_t *states, plugin_list_u8_t *groups,
                                                    millstream_plugin_data_batch_t *input,
                                                    millstream_plugin_data_column_t *ret, plugin_string_t *err) {
    ms_raw_batch given = batch(input);
    ms_raw_column made;
    const uint32_t *group_of = (const uint32_t *)(const void *)groups->ptr;
    bool good = ms_core_accumulate(column(states), group_of, groups->len / 4, &given, &made);
    if (good) give_column(ret, &made);
    plugin_list_u8_free(groups);
    return answer(good, err);
}

bool exports_millstream_plugin_aggregate_merge(millstream_plugin_data_column_t *left,
                                               millstream_plugin_data_column_t *right,
                                               millstream_plugin_data_column_t *ret, plugin_string_t *err) {
    ms_raw_column made;
    bool good = ms_core_merge(column(left), column(right), &made);
    if (good) give_column(ret, &made);
    return answer(good, err);
}

bool exports_millstream_plugin_aggregate_retract(millstream_plugin_data_column_t *left,
                                                 millstream_plugin_data_column_t *right,
                                                 millstream_plugin_data_column_t *ret, plugin_string_t *err) {
    ms_raw_column made;
    bool good = ms_core_retract(column(left), column(right), &made);
    if (good) give_column(ret, &made);
    return answer(good, err);
}

bool exports_millstream_plugin_aggregate_finish(millstream_plugin_data_column_t *states,
                                                millstream_plugin_data_batch_t *ret, plugin_string_t *err) {
    ms_raw_batch made = {0, NULL, 0};
    bool good = ms_core_finish(column(states), &made);
    if (good) give_batch(ret, &made);
    return answer(good, err);
}

bool exports_millstream_plugin_keyed_process(millstream_plugin_data_clock_t *clock,
                                             exports_millstream_plugin_keyed_turn_t *turn,
                                             exports_millstream_plugin_keyed_outcome_t *ret, plugin_string_t *err) {
    ms_clock told = clock_of(clock);
    ms_turn given = {batch(&turn->keys), column(&turn->states), batch(&turn->rows),
                     (const uint32_t *)(const void *)turn->row_keys.ptr, turn->row_keys.len / 4,
                     (const ms_timer *)(const void *)turn->due.ptr, turn->due.len};
    ms_outcome made;
    bool good = ms_core_turn(&told, &given, &made);
    if (good) {
        give_batch(&ret->output, &made.output);
        give_column(&ret->states, &made.states);
        ret->timers.ptr = (exports_millstream_plugin_keyed_timer_t *)(void *)made.timers;
        ret->timers.len = made.timer_count;
        good = give_rejections((exports_millstream_plugin_transform_list_rejection_t *)(void *)&ret->rejected, &made.rejected);
        if (!good) exports_millstream_plugin_keyed_outcome_free(ret);
    }
    plugin_list_u8_free(&turn->row_keys);
    exports_millstream_plugin_keyed_list_timer_free(&turn->due);
    return answer(good, err);
}

bool exports_millstream_plugin_keyed_migrate(plugin_string_t *from_version, millstream_plugin_data_column_t *states,
                                             millstream_plugin_data_column_t *ret, plugin_string_t *err) {
    ms_raw_column made;
    bool good = ms_core_migrate(text(from_version), column(states), &made);
    if (good) give_column(ret, &made);
    plugin_string_free(from_version);
    return answer(good, err);
}

/* ---- The host ---- */

static plugin_string_t lend(ms_text words) {
    plugin_string_t string = {(uint8_t *)(uintptr_t)words.data, words.len};
    return string;
}

void ms_host_log(ms_level level, ms_text message) {
    plugin_string_t lent = lend(message);
    millstream_plugin_host_log((millstream_plugin_host_level_t)level, &lent);
}

void ms_host_count(ms_text name, uint64_t by) {
    plugin_string_t lent = lend(name);
    millstream_plugin_host_count(&lent, by);
}

void ms_host_observe(ms_text name, double value) {
    plugin_string_t lent = lend(name);
    millstream_plugin_host_observe(&lent, value);
}
