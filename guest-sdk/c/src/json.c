/* A reader of JSON documents (RFC 8259), for configs and for operators that take JSON apart. Strings without
 * escapes are not copied; numbers stay as they were written until somebody asks. */
#include "core.h"

#include <stdlib.h>

/* Deeper documents are not read: a plugin's stack is small. */
#define DEPTH_MAX 256

typedef struct reader {
    const char *at, *end;
    int depth;
} reader;

static bool value(reader *r, ms_json *into);

static void blanks(reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')) r->at++;
}

static bool take(reader *r, char wanted) {
    if (r->at == r->end || *r->at != wanted) return false;
    r->at++;
    return true;
}

static bool word(reader *r, const char *wanted) {
    size_t len = strlen(wanted);
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, wanted, len) != 0) return false;
    r->at += len;
    return true;
}

static bool digits(reader *r) {
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') r->at++;
    return r->at > start;
}

static bool number(reader *r, ms_json *into) {
    const char *start = r->at;
    take(r, '-');
    if (!take(r, '0') && !digits(r)) return false;
    if (take(r, '.') && !digits(r)) return false;
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+')) take(r, '-');
        if (!digits(r)) return false;
    }
    into->type = MS_JSON_NUMBER;
    into->text.data = start;
    into->text.len = (size_t)(r->at - start);
    return true;
}

static bool hex4(const char *at, const char *end, uint32_t *unit) {
    if (end - at < 4) return false;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        uint32_t digit = c >= '0' && c <= '9' ? (uint32_t)(c - '0') : (uint32_t)((c | 32) - 'a' + 10);
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f'))) return false;
        *unit = *unit << 4 | digit;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t c) {
    if (c < 0x80) {
        *to++ = (char)c;
    } else if (c < 0x800) {
        *to++ = (char)(0xc0 | c >> 6);
        *to++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *to++ = (char)(0xe0 | c >> 12);
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    } else {
        *to++ = (char)(0xf0 | c >> 18);
        *to++ = (char)(0x80 | (c >> 12 & 63));
        *to++ = (char)(0x80 | (c >> 6 & 63));
        *to++ = (char)(0x80 | (c & 63));
    }
    return to;
}

/* `\uXXXX`, behind its `u`, with the other half of a pair where it is one. */
static bool unicode(reader *r, char **to, bool *broken) {
    uint32_t unit, low;
    if (!hex4(r->at, r->end, &unit)) return false;
    r->at += 4;
    if (unit >= 0xd800 && unit < 0xe000) {
        bool pair = unit < 0xdc00 && r->end - r->at >= 6 && r->at[0] == '\\' && r->at[1] == 'u' &&
                    hex4(r->at + 2, r->end, &low) && low >= 0xdc00 && low < 0xe000;
        if (!pair) {
            *broken = true;
            return true;
        }
        r->at += 6;
        unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
    }
    *to = put_utf8(*to, unit);
    return true;
}

static bool escape(reader *r, char **to, bool *broken) {
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end) return false;
    char c = *r->at++;
    if (c == 'u') return unicode(r, to, broken);
    const char *found = c == 0 ? NULL : strchr(from, c);
    if (found == NULL) return false;
    *(*to)++ = into[found - from];
    return true;
}

/* Behind the opening quote. */
static bool string(reader *r, ms_text *text, bool *broken) {
    const char *start = r->at;
    bool escaped = false;
    while (r->at < r->end && *r->at != '"') {
        if ((unsigned char)*r->at < 0x20) return false;
        if (*r->at == '\\') {
            escaped = true;
            r->at++;
            if (r->at == r->end) return false;
        }
        r->at++;
    }
    if (r->at >= r->end) return false;
    const char *end = r->at;
    text->data = start;
    text->len = (size_t)(end - start);
    r->at = end + 1;
    if (!escaped) return true;
    /* What is decoded is never longer than what was written. */
    char *decoded = ms_alloc(text->len), *to = decoded;
    if (decoded == NULL) return false;
    reader inside = {start, end, 0};
    while (inside.at < inside.end) {
        if (*inside.at != '\\') {
            *to++ = *inside.at++;
        } else {
            inside.at++;
            if (!escape(&inside, &to, broken)) return false;
        }
    }
    text->data = decoded;
    text->len = (size_t)(to - decoded);
    return true;
}

static bool members(reader *r, ms_json *into, bool named, char close) {
    const ms_json **place = &into->first;
    blanks(r);
    if (take(r, close)) return true;
    do {
        ms_json *member = ms_alloc(sizeof *member);
        bool broken_name = false;
        if (member == NULL) return false;
        memset(member, 0, sizeof *member);
        blanks(r);
        if (named) {
            if (!take(r, '"') || !string(r, &member->name, &broken_name)) return false;
            /* No pointer can name half of a pair. */
            if (broken_name) member->name.data = NULL, member->name.len = SIZE_MAX;
            blanks(r);
            if (!take(r, ':')) return false;
        }
        if (!value(r, member)) return false;
        *place = member;
        place = &member->next;
        blanks(r);
    } while (take(r, ','));
    return take(r, close);
}

static bool nested(reader *r, ms_json *into, ms_json_type type, char close) {
    into->type = type;
    if (++r->depth > DEPTH_MAX) return false;
    bool read = members(r, into, type == MS_JSON_OBJECT, close);
    r->depth--;
    return read;
}

static bool value(reader *r, ms_json *into) {
    blanks(r);
    if (r->at == r->end) return false;
    switch (*r->at) {
    case '{': r->at++; return nested(r, into, MS_JSON_OBJECT, '}');
    case '[': r->at++; return nested(r, into, MS_JSON_ARRAY, ']');
    case '"':
        r->at++;
        into->type = MS_JSON_STRING;
        return string(r, &into->text, &into->broken);
    case 'n': into->type = MS_JSON_NULL; return word(r, "null");
    case 't': into->type = MS_JSON_TRUE; return word(r, "true");
    case 'f': into->type = MS_JSON_FALSE; return word(r, "false");
    default: return number(r, into);
    }
}

const ms_json *ms_json_read(ms_text document) {
    ms_json *root = ms_alloc(sizeof *root);
    if (root == NULL) return NULL;
    memset(root, 0, sizeof *root);
    reader r = {document.data, document.data + document.len, 0};
    if (!value(&r, root)) return NULL;
    blanks(&r);
    return r.at == r.end ? root : NULL;
}

const ms_json *ms_json_member(const ms_json *object, ms_text name) {
    const ms_json *found = NULL;
    if (object == NULL || object->type != MS_JSON_OBJECT) return NULL;
    for (const ms_json *member = object->first; member != NULL; member = member->next) {
        if (member->name.len == name.len && memcmp(member->name.data, name.data, name.len) == 0) found = member;
    }
    return found;
}

static const ms_json *element(const ms_json *array, ms_text index) {
    size_t wanted = 0;
    /* RFC 6901: no leading zeros; more digits than these are beyond any array. */
    if (index.len == 0 || index.len > 9 || (index.len > 1 && index.data[0] == '0')) return NULL;
    for (size_t i = 0; i < index.len; i++) {
        if (index.data[i] < '0' || index.data[i] > '9') return NULL;
        wanted = wanted * 10 + (size_t)(index.data[i] - '0');
    }
    const ms_json *found = array->first;
    while (found != NULL && wanted-- > 0) found = found->next;
    return found;
}

const ms_json *ms_json_at(const ms_json *document, ms_text pointer) {
    size_t at = 0;
    if (pointer.len > 0 && pointer.data[0] != '/') return NULL;
    while (document != NULL && at < pointer.len) {
        char *token = ms_alloc(pointer.len);
        size_t len = 0;
        if (token == NULL) return NULL;
        for (at++; at < pointer.len && pointer.data[at] != '/'; at++) {
            char c = pointer.data[at];
            if (c == '~' && at + 1 < pointer.len && (pointer.data[at + 1] == '0' || pointer.data[at + 1] == '1')) {
                c = pointer.data[++at] == '0' ? '~' : '/';
            }
            token[len++] = c;
        }
        ms_text name = {token, len};
        if (document->type == MS_JSON_ARRAY) {
            document = element(document, name);
        } else {
            document = ms_json_member(document, name);
        }
    }
    return document;
}

bool ms_json_float64(const ms_json *from, double *to) {
    char small[64], *copy = small;
    if (from->type != MS_JSON_NUMBER) return false;
    if (from->text.len >= sizeof small) copy = ms_alloc(from->text.len + 1);
    if (copy == NULL) return false;
    memcpy(copy, from->text.data, from->text.len);
    copy[from->text.len] = 0;
    *to = strtod(copy, NULL);
    return true;
}

static bool exact(ms_text digits, int64_t *to) {
    bool negative = digits.data[0] == '-';
    uint64_t sum = 0, limit = negative ? (uint64_t)1 << 63 : ((uint64_t)1 << 63) - 1;
    for (size_t i = negative; i < digits.len; i++) {
        uint64_t digit = (uint64_t)(digits.data[i] - '0');
        if (sum > (limit - digit) / 10) return false;
        sum = sum * 10 + digit;
    }
    *to = negative ? (int64_t)(0 - sum) : (int64_t)sum;
    return true;
}

bool ms_json_int64(const ms_json *from, int64_t *to) {
    const double whole_max = 9007199254740992.0;
    double rounded;
    if (from->type != MS_JSON_NUMBER) return false;
    bool plain = true;
    for (size_t i = 0; i < from->text.len; i++) plain &= strchr(".eE", from->text.data[i]) == NULL;
    if (plain) return exact(from->text, to);
    if (!ms_json_float64(from, &rounded) || !(rounded >= -whole_max && rounded <= whole_max)) return false;
    *to = (int64_t)rounded;
    return (double)*to == rounded;
}
