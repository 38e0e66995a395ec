/* Memory of a call, the failure of a call, and text made of pieces. There is one instance of everything: a
 * component has one thread and one open operator. */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct chunk {
    struct chunk *before;
    size_t room, used;
} chunk;

#define CHUNK_BYTES ((size_t)64 * 1024)
#define FAILURE_BYTES 2048

static struct {
    chunk *of_call, *that_stays;
    bool keep;
    const char *operator_name;
    ms_clock clock;
    bool failed;
    size_t failure_len;
    char failure[FAILURE_BYTES];
} now;

ms_at_work ms_work = {NULL, NULL, {NULL, 0}, MS_NO_ROW};

void ms_keep_memory(bool keep) { now.keep = keep; }

ms_clock ms_now(void) { return now.clock; }

static chunk **arena(void) { return now.keep ? &now.that_stays : &now.of_call; }

void ms_begin_call(const char *operator_name, const ms_clock *clock) {
    ms_mark all = {NULL, 0};
    now.keep = false;
    /* The first chunk is kept: most calls need no more. */
    chunk *first = now.of_call;
    while (first != NULL && first->before != NULL) first = first->before;
    all.chunk = first;
    ms_release(all);
    now.operator_name = operator_name;
    now.failed = false;
    ms_enter(NULL, NULL);
    memset(&now.clock, 0, sizeof now.clock);
    if (clock != NULL) now.clock = *clock;
}

void *ms_alloc(size_t bytes) {
    chunk **place = arena();
    size_t aligned = (bytes + 15) & ~(size_t)15;
    if (aligned < bytes) {
        ms_fail("there is no memory for %zu bytes", bytes);
        return NULL;
    }
    if (*place == NULL || (*place)->room - (*place)->used < aligned) {
        size_t header = (sizeof(chunk) + 15) & ~(size_t)15;
        size_t doubled = *place == NULL ? CHUNK_BYTES : (*place)->room * 2;
        if (doubled > CHUNK_BYTES * 64) doubled = CHUNK_BYTES * 64;
        size_t room = aligned > doubled ? aligned : doubled;
        chunk *added = malloc(header + room);
        if (added == NULL) {
            ms_fail("there is no memory for %zu bytes", bytes);
            return NULL;
        }
        added->before = *place;
        added->room = header + room;
        added->used = header;
        *place = added;
    }
    void *memory = (uint8_t *)*place + (*place)->used;
    (*place)->used += aligned;
    return memory;
}

ms_mark ms_mark_now(void) {
    chunk *newest = *arena();
    ms_mark mark = {newest, newest == NULL ? 0 : newest->used};
    return mark;
}

void ms_release(ms_mark mark) {
    chunk **place = arena();
    while (*place != NULL && *place != mark.chunk) {
        chunk *gone = *place;
        *place = gone->before;
        free(gone);
    }
    if (*place != NULL) {
        size_t header = (sizeof(chunk) + 15) & ~(size_t)15;
        (*place)->used = mark.used < header ? header : mark.used;
    }
}

/* ---- Failing ---- */

bool ms_failed(void) { return now.failed; }

ms_text ms_failure(void) {
    ms_text text = {now.failure, now.failure_len};
    return text;
}

static void failure_add(const char *format, va_list arguments) {
    size_t room = FAILURE_BYTES - now.failure_len;
    int written = vsnprintf(now.failure + now.failure_len, room, format, arguments);
    if (written > 0) now.failure_len += (size_t)written < room ? (size_t)written : room - 1;
    /* What was cut may be the middle of a character. */
    if (written > 0 && (size_t)written >= room) {
        while (now.failure_len > 0 && (now.failure[now.failure_len - 1] & 0x80) != 0) now.failure_len--;
    }
}

static void failure_piece(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    failure_add(format, arguments);
    va_end(arguments);
}

static bool begin_failure(void) {
    if (now.failed) return false;
    now.failed = true;
    now.failure_len = 0;
    if (now.operator_name != NULL) failure_piece("operator `%s`: ", now.operator_name);
    return true;
}

void ms_fail(const char *format, ...) {
    if (!begin_failure()) return;
    va_list arguments;
    va_start(arguments, format);
    failure_add(format, arguments);
    va_end(arguments);
}

void ms_fail_at(ms_text column, size_t row, const char *format, ...) {
    if (!begin_failure()) return;
    failure_piece("column `%.*s`", (int)column.len, column.data);
    if (row != MS_NO_ROW) failure_piece(", row %zu", row);
    failure_piece(": ");
    va_list arguments;
    va_start(arguments, format);
    failure_add(format, arguments);
    va_end(arguments);
}

/* ---- Last words ---- */

void ms_enter(const ms_operator *operator_, const char *function) {
    ms_at_work work = {operator_ == NULL ? NULL : operator_->name, function, {NULL, 0}, MS_NO_ROW};
    ms_work = work;
}

void ms_last_words(char *words, size_t room) {
    char operator_[128] = "", column[128] = "", row[32] = "";
    if (ms_work.operator_name != NULL) snprintf(operator_, sizeof operator_, "operator `%s`: ", ms_work.operator_name);
    if (ms_work.column.data != NULL) {
        snprintf(column, sizeof column, "column `%.*s`, ", (int)ms_work.column.len, ms_work.column.data);
    }
    if (ms_work.row != MS_NO_ROW) snprintf(row, sizeof row, "row %zu: ", ms_work.row);
    snprintf(words, room, "%s%s%saborted in %s%s%.*s", operator_, column, row,
             ms_work.function == NULL ? "the kit" : ms_work.function, now.failed ? ", after the failure: " : "",
             now.failed ? (int)now.failure_len : 0, now.failure);
}

/* ---- Buffers of malloc ---- */

bool ms_grow(void **array, size_t *room, size_t count, size_t size) {
    if (count < *room) return true;
    size_t wanted = *room == 0 ? 16 : *room * 2;
    void *grown = wanted > SIZE_MAX / size ? NULL : realloc(*array, wanted * size);
    if (grown == NULL) {
        ms_fail("there is no memory for %zu values", wanted);
        return false;
    }
    *array = grown;
    *room = wanted;
    return true;
}

void ms_free_raw(ms_raw *raw) {
    if (raw->len > 0) free(raw->data);
    raw->data = NULL;
    raw->len = 0;
}

void ms_free_column(ms_raw_column *column) {
    ms_free_raw(&column->validity);
    ms_free_raw(&column->offsets);
    ms_free_raw(&column->values);
}

ms_raw ms_raw_of(const void *data, size_t len) {
    ms_raw raw = {NULL, 0};
    if (len == 0) return raw;
    raw.data = malloc(len);
    if (raw.data == NULL) {
        ms_fail("there is no memory for %zu bytes", len);
        return raw;
    }
    raw.len = len;
    memcpy(raw.data, data, len);
    return raw;
}

/* ---- Text ---- */

ms_text ms_copy_text(ms_text text) {
    char *copy = ms_alloc(text.len + 1);
    ms_text copied = {copy, copy == NULL ? 0 : text.len};
    if (copy != NULL) {
        memcpy(copy, text.data, text.len);
        copy[text.len] = 0;
    }
    return copied;
}

ms_text ms_format_list(const char *format, va_list arguments) {
    va_list again;
    va_copy(again, arguments);
    int len = vsnprintf(NULL, 0, format, arguments);
    char *text = len < 0 ? NULL : ms_alloc((size_t)len + 1);
    ms_text formatted = {text, text == NULL ? 0 : (size_t)len};
    if (text != NULL) vsnprintf(text, (size_t)len + 1, format, again);
    va_end(again);
    return formatted;
}

ms_text ms_format(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    ms_text formatted = ms_format_list(format, arguments);
    va_end(arguments);
    return formatted;
}

void ms_log(ms_level level, const char *format, ...) {
    ms_mark mark = ms_mark_now();
    va_list arguments;
    va_start(arguments, format);
    ms_text message = ms_format_list(format, arguments);
    va_end(arguments);
    ms_host_log(level, message);
    ms_release(mark);
}

void ms_count(const char *name, uint64_t by) { ms_host_count(ms_text_of(name), by); }

void ms_observe(const char *name, double value) { ms_host_observe(ms_text_of(name), value); }

void ms_words_add(ms_words *words, ms_text piece) {
    if (words->len + piece.len > words->room) {
        size_t room = (words->len + piece.len) * 2 + 64;
        char *grown = ms_alloc(room);
        if (grown == NULL) return;
        if (words->len > 0) memcpy(grown, words->data, words->len);
        words->data = grown;
        words->room = room;
    }
    if (piece.len > 0) memcpy(words->data + words->len, piece.data, piece.len);
    words->len += piece.len;
}

void ms_words_string(ms_words *words, const char *piece) { ms_words_add(words, ms_text_of(piece)); }

void ms_words_quoted(ms_words *words, const char *piece) {
    ms_words_string(words, "\"");
    for (; *piece != 0; piece++) {
        char escaped[8] = {*piece, 0};
        if (*piece == '"' || *piece == '\\') {
            snprintf(escaped, sizeof escaped, "\\%c", *piece);
        } else if ((unsigned char)*piece < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)(unsigned char)*piece);
        }
        ms_words_string(words, escaped);
    }
    ms_words_string(words, "\"");
}

/* How many letters have to change to make one name of the other; names are short. */
static size_t distance(ms_text a, ms_text b) {
    size_t row[65];
    if (a.len > 64 || b.len > 64) return 64;
    for (size_t j = 0; j <= b.len; j++) row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t above = row[j];
            size_t best = diagonal + (a.data[i - 1] != b.data[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            diagonal = above;
            row[j] = best;
        }
    }
    return row[b.len];
}

ms_text ms_nearest(ms_text name, const ms_text *known, size_t count) {
    size_t best = 0, best_distance = SIZE_MAX;
    for (size_t i = 0; i < count; i++) {
        size_t apart = distance(name, known[i]);
        if (apart < best_distance) best = i, best_distance = apart;
    }
    if (count == 0) return ms_text_of("there are none");
    size_t bound = known[best].len / 2 > 2 ? known[best].len / 2 : 2;
    if (best_distance <= bound) return ms_format("did you mean `%.*s`?", (int)known[best].len, known[best].data);
    ms_words words = {0};
    ms_words_string(&words, "there are ");
    for (size_t i = 0; i < count; i++) {
        ms_words_string(&words, i == 0 ? "`" : ", `");
        ms_words_add(&words, known[i]);
        ms_words_string(&words, "`");
    }
    ms_text all = {words.data, words.len};
    return all;
}
