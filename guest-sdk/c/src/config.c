/* Configs: read and checked by the operator's table of settings, so that what an operator asks for is there.
 * The JSON Schema that the host shows and checks comes of the same table. */
#include "core.h"

#include <stdio.h>

struct ms_config {
    const ms_setting *settings;
    const ms_json *object;
};

static const char *type_words[] = {
    [MS_STRING] = "a string",     [MS_NUMBER] = "a number",           [MS_INTEGER] = "a whole number",
    [MS_BOOL] = "true or false", [MS_STRINGS] = "an array of strings", [MS_OBJECTS] = "an array of objects",
};

static const char *json_words[] = {
    [MS_JSON_NULL] = "null",     [MS_JSON_FALSE] = "false",  [MS_JSON_TRUE] = "true",    [MS_JSON_NUMBER] = "a number",
    [MS_JSON_STRING] = "a string", [MS_JSON_ARRAY] = "an array", [MS_JSON_OBJECT] = "an object",
};

#define LEN_DATA(text) (int)(text).len, (text).data

static bool check_object(const ms_setting *settings, const ms_json *object, ms_text path);

static bool check_choice(const ms_setting *setting, const ms_json *value, ms_text path) {
    size_t count = 0;
    ms_text known[32];
    if (value->broken) {
        ms_fail("%.*s holds half of a surrogate pair, which is no text", LEN_DATA(path));
        return false;
    }
    if (setting->choices == NULL) return true;
    for (; setting->choices[count] != NULL && count < 32; count++) {
        if (ms_text_is(value->text, setting->choices[count])) return true;
        known[count] = ms_text_of(setting->choices[count]);
    }
    ms_text nearest = ms_nearest(value->text, known, count);
    ms_fail("%.*s is `%.*s`, which it cannot be; %.*s", LEN_DATA(path), LEN_DATA(value->text), LEN_DATA(nearest));
    return false;
}

static bool check_number(const ms_setting *setting, const ms_json *value, ms_text path) {
    double number = 0;
    int64_t whole;
    if (!ms_json_float64(value, &number)) return false;
    if (setting->type == MS_INTEGER) {
        bool plain = true;
        for (size_t i = 0; i < value->text.len; i++) plain &= strchr(".eE", value->text.data[i]) == NULL;
        if (!plain || !ms_json_int64(value, &whole)) {
            ms_fail("%.*s is %.*s, which is no whole number of 64 bits", LEN_DATA(path), LEN_DATA(value->text));
            return false;
        }
    }
    if (setting->min < setting->max && !(number >= setting->min && number <= setting->max)) {
        ms_fail("%.*s is %.*s; it has to be from %.15g to %.15g", LEN_DATA(path), LEN_DATA(value->text), setting->min,
                setting->max);
        return false;
    }
    return true;
}

static bool check_elements(const ms_setting *setting, const ms_json *array, ms_text path) {
    size_t i = 0;
    for (const ms_json *element = array->first; element != NULL; element = element->next, i++) {
        ms_json_type wanted = setting->type == MS_STRINGS ? MS_JSON_STRING : MS_JSON_OBJECT;
        ms_text place = ms_format("%.*s[%zu]", LEN_DATA(path), i);
        if (element->type != wanted) {
            ms_fail("%.*s is %s, not %s", LEN_DATA(place), json_words[element->type], json_words[wanted]);
            return false;
        }
        bool good = wanted == MS_JSON_STRING ? check_choice(setting, element, place)
                                             : check_object(setting->items, element, place);
        if (!good) return false;
    }
    return true;
}

static bool check_value(const ms_setting *setting, const ms_json *value, ms_text path) {
    ms_json_type type = value->type;
    bool fits = false;
    switch (setting->type) {
    case MS_STRING: fits = type == MS_JSON_STRING; break;
    case MS_NUMBER:
    case MS_INTEGER: fits = type == MS_JSON_NUMBER; break;
    case MS_BOOL: fits = type == MS_JSON_TRUE || type == MS_JSON_FALSE; break;
    case MS_STRINGS:
    case MS_OBJECTS: fits = type == MS_JSON_ARRAY; break;
    }
    if (!fits) {
        ms_fail("%.*s is %s, not %s", LEN_DATA(path), json_words[type], type_words[setting->type]);
        return false;
    }
    switch (setting->type) {
    case MS_STRING: return check_choice(setting, value, path);
    case MS_NUMBER:
    case MS_INTEGER: return check_number(setting, value, path);
    case MS_BOOL: return true;
    default: return check_elements(setting, value, path);
    }
}

static const ms_setting *find(const ms_setting *settings, ms_text name) {
    for (; settings != NULL && settings->name != NULL; settings++) {
        if (ms_text_is(name, settings->name)) return settings;
    }
    return NULL;
}

static bool check_object(const ms_setting *settings, const ms_json *object, ms_text path) {
    ms_text known[64];
    size_t count = 0;
    for (; settings != NULL && settings[count].name != NULL && count < 64; count++) {
        known[count] = ms_text_of(settings[count].name);
    }
    for (const ms_json *member = object->first; member != NULL; member = member->next) {
        ms_text name = member->name.data == NULL ? ms_text_of("?") : member->name;
        const ms_setting *setting = find(settings, name);
        if (setting == NULL) {
            ms_text nearest = ms_nearest(name, known, count);
            ms_fail("%.*s has no key `%.*s`; %.*s", LEN_DATA(path), LEN_DATA(name), LEN_DATA(nearest));
            return false;
        }
        /* null of an optional key is a key that is not there. */
        if (setting->optional && member->type == MS_JSON_NULL) continue;
        if (!check_value(setting, member, ms_format("%.*s.%.*s", LEN_DATA(path), LEN_DATA(name)))) return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!settings[i].optional && ms_json_member(object, known[i]) == NULL) {
            ms_fail("%.*s: missing field `%s`", LEN_DATA(path), settings[i].name);
            return false;
        }
    }
    return true;
}

static const ms_config *config_of(const ms_setting *settings, const ms_json *object) {
    ms_config *config = ms_alloc(sizeof *config);
    if (config == NULL) return NULL;
    config->settings = settings;
    config->object = object;
    return config;
}

const ms_config *ms_config_read(const ms_setting *settings, ms_text json) {
    bool empty = true;
    for (size_t i = 0; i < json.len; i++) empty &= json.data[i] == ' ' || json.data[i] == '\n';
    json = ms_copy_text(empty ? ms_text_of("{}") : json);
    const ms_json *object = ms_failed() ? NULL : ms_json_read(json);
    if (object == NULL) {
        ms_fail("config is not JSON");
        return NULL;
    }
    if (object->type != MS_JSON_OBJECT) {
        ms_fail("config is %s, not an object", json_words[object->type]);
        return NULL;
    }
    return check_object(settings, object, ms_text_of("config")) ? config_of(settings, object) : NULL;
}

/* ---- What operators ask ---- */

/* The value of a key, or its fallback; NULL when it has neither. */
static const ms_json *lookup(const ms_config *config, const char *key) {
    /* That of an element that is not there, or for which there was no memory. */
    if (config == NULL) return NULL;
    const ms_setting *setting = find(config->settings, ms_text_of(key));
    if (setting == NULL) {
        ms_fail("the operator asks for `%s`, which its table of settings does not have", key);
        return NULL;
    }
    const ms_json *value = ms_json_member(config->object, ms_text_of(key));
    if (value != NULL && value->type != MS_JSON_NULL) return value;
    return setting->fallback == NULL ? NULL : ms_json_read(ms_text_of(setting->fallback));
}

static const ms_json *nth(const ms_config *config, const char *key, size_t i) {
    const ms_json *value = lookup(config, key);
    const ms_json *element = value == NULL ? NULL : value->first;
    while (element != NULL && i-- > 0) element = element->next;
    return element;
}

bool ms_config_has(const ms_config *config, const char *key) { return lookup(config, key) != NULL; }

ms_text ms_config_text(const ms_config *config, const char *key) {
    const ms_json *value = lookup(config, key);
    ms_text none = {NULL, 0};
    return value == NULL ? none : value->text;
}

double ms_config_number(const ms_config *config, const char *key) {
    const ms_json *value = lookup(config, key);
    double number = 0;
    if (value != NULL) ms_json_float64(value, &number);
    return number;
}

int64_t ms_config_integer(const ms_config *config, const char *key) {
    const ms_json *value = lookup(config, key);
    int64_t number = 0;
    if (value != NULL) ms_json_int64(value, &number);
    return number;
}

bool ms_config_boolean(const ms_config *config, const char *key) {
    const ms_json *value = lookup(config, key);
    return value != NULL && value->type == MS_JSON_TRUE;
}

size_t ms_config_count(const ms_config *config, const char *key) {
    const ms_json *value = lookup(config, key);
    size_t count = 0;
    for (value = value == NULL ? NULL : value->first; value != NULL; value = value->next) count++;
    return count;
}

ms_text ms_config_text_at(const ms_config *config, const char *key, size_t i) {
    const ms_json *element = nth(config, key, i);
    ms_text none = {NULL, 0};
    return element == NULL ? none : element->text;
}

const ms_config *ms_config_object_at(const ms_config *config, const char *key, size_t i) {
    const ms_setting *setting = config == NULL ? NULL : find(config->settings, ms_text_of(key));
    const ms_json *element = nth(config, key, i);
    return setting == NULL || element == NULL ? NULL : config_of(setting->items, element);
}

/* ---- JSON Schema ---- */

static void schema_of_object(ms_words *words, const ms_setting *settings, const char *about);

static void choices(ms_words *words, const ms_setting *setting) {
    if (setting->choices == NULL) return;
    ms_words_string(words, ",\"enum\":[");
    for (size_t i = 0; setting->choices[i] != NULL; i++) {
        if (i > 0) ms_words_string(words, ",");
        ms_words_quoted(words, setting->choices[i]);
    }
    ms_words_string(words, "]");
}

static void schema_of(ms_words *words, const ms_setting *setting) {
    static const char *types[] = {
        [MS_STRING] = "string", [MS_NUMBER] = "number",  [MS_INTEGER] = "integer",
        [MS_BOOL] = "boolean",  [MS_STRINGS] = "array", [MS_OBJECTS] = "array",
    };
    ms_words_string(words, "{\"type\":");
    ms_words_quoted(words, types[setting->type]);
    if (setting->about != NULL) {
        ms_words_string(words, ",\"description\":");
        ms_words_quoted(words, setting->about);
    }
    if (setting->min < setting->max) {
        ms_words_add(words, ms_format(",\"minimum\":%.15g,\"maximum\":%.15g", setting->min, setting->max));
    }
    if (setting->fallback != NULL) {
        ms_words_string(words, ",\"default\":");
        ms_words_string(words, setting->fallback);
    }
    if (setting->type == MS_STRINGS) {
        ms_words_string(words, ",\"items\":{\"type\":\"string\"");
        choices(words, setting);
        ms_words_string(words, "}");
    } else if (setting->type == MS_OBJECTS) {
        ms_words_string(words, ",\"items\":");
        schema_of_object(words, setting->items, NULL);
    } else {
        choices(words, setting);
    }
    ms_words_string(words, "}");
}

static void schema_of_object(ms_words *words, const ms_setting *settings, const char *about) {
    ms_words_string(words, "{\"type\":\"object\"");
    if (about != NULL) {
        ms_words_string(words, ",\"description\":");
        ms_words_quoted(words, about);
    }
    ms_words_string(words, ",\"properties\":{");
    for (size_t i = 0; settings != NULL && settings[i].name != NULL; i++) {
        if (i > 0) ms_words_string(words, ",");
        ms_words_quoted(words, settings[i].name);
        ms_words_string(words, ":");
        schema_of(words, &settings[i]);
    }
    ms_words_string(words, "},\"required\":[");
    bool first = true;
    for (size_t i = 0; settings != NULL && settings[i].name != NULL; i++) {
        if (settings[i].optional) continue;
        if (!first) ms_words_string(words, ",");
        first = false;
        ms_words_quoted(words, settings[i].name);
    }
    ms_words_string(words, "],\"additionalProperties\":false}");
}

ms_text ms_config_schema(const ms_operator *operator_) {
    if (operator_->config_schema != NULL) return ms_text_of(operator_->config_schema);
    ms_words words = {0};
    schema_of_object(&words, operator_->settings, operator_->summary);
    ms_text schema = {words.data, words.len};
    return schema;
}
