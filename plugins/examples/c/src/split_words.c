/* `split-words`: a row a word. The scan looks at 64 bytes at a time; words are copied once. */
#include "examples.h"

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

static const ms_setting settings[] = {
    {"column", MS_STRING, "The text column."},
    {"output", MS_STRING, "The name of the output column.", .optional = true, .fallback = "\"word\""},
    {NULL},
};

static void *open(ms_open *open) {
    size_t *column = ms_alloc(sizeof *column);
    if (column == NULL) return NULL;
    *column = ms_input(open, ms_config_text(open->config, "column"), MS_UTF8);
    ms_output_field(open, ms_config_text(open->config, "output"), MS_UTF8, false);
    return column;
}

/* Which of 64 bytes are spaces, a bit a byte. */
static inline uint64_t spaces(const char *at) {
    uint64_t mask = 0;
#ifdef __wasm_simd128__
    for (int i = 0; i < 4; i++) {
        v128_t sixteen = wasm_v128_load(at + 16 * i);
        mask |= (uint64_t)wasm_i8x16_bitmask(wasm_i8x16_eq(sixteen, wasm_i8x16_splat(' '))) << (16 * i);
    }
#else
    for (int i = 0; i < 64; i++) mask |= (uint64_t)(at[i] == ' ') << i;
#endif
    return mask;
}

/* Adds the words between `start` and `end`. As much as `readable` is there to be read. */
static inline void split(ms_builder *words, const char *start, const char *end, const char *readable) {
    const char *word = start;
    for (const char *at = start; at < end; at += 64) {
        char last[64];
        const char *block = at;
        if (readable - at < 64) {
            memset(last, 'x', sizeof last);
            memcpy(last, at, (size_t)(readable - at));
            block = last;
        }
        uint64_t found = spaces(block);
        if (end - at < 64) found &= ((uint64_t)1 << (end - at)) - 1;
        for (; found != 0; found &= found - 1) {
            const char *space = at + __builtin_ctzll(found);
            if (space > word) ms_push_part(words, word, (size_t)(space - word));
            word = space + 1;
        }
    }
    if (end > word) ms_push_part(words, word, (size_t)(end - word));
}

static void process(void *self, const ms_batch *batch, ms_output *output) {
    const ms_column *text = &batch->columns[*(size_t *)self];
    ms_builder *builder = ms_set(output, 0);
    size_t bytes = batch->rows == 0 ? 0 : text->offsets[batch->rows];
    /* Words and spaces take turns: there are no more words than this. */
    if (!ms_reserve_text(builder, bytes / 2 + batch->rows, bytes)) return;
    /* A copy that nothing points to stays in registers. */
    ms_builder words = *builder;
    const char *start = text->as.bytes, *readable = start + bytes;
    size_t row = 0;
    /* Words near the end of the buffer have fewer bytes behind them than `ms_push_part` reads. */
    for (; row < batch->rows && text->offsets[row + 1] + MS_SLACK <= bytes; row++) {
        if (ms_is_null(text, row)) continue;
        split(&words, start + text->offsets[row], start + text->offsets[row + 1], readable);
    }
    *builder = words;
    for (; row < batch->rows; row++) {
        if (ms_is_null(text, row)) continue;
        const char *word = start + text->offsets[row], *end = start + text->offsets[row + 1];
        for (const char *at = word; at <= end; at++) {
            if (at < end && *at != ' ') continue;
            if (at > word) ms_push_text(builder, word, (size_t)(at - word));
            word = at + 1;
        }
    }
}

const ms_operator split_words = {
    .name = "split-words",
    .kind = MS_TRANSFORM,
    .summary = "Splits text at spaces: one row a word.",
    .settings = settings,
    .open = open,
    .process = process,
};
