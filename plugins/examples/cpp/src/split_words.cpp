// `split-words`: a row a word. The scan looks at 16 bytes at a time; words are copied once.
#include "operators.hpp"

#include <bit>
#include <cstring>

#ifdef __wasm_simd128__
#include <wasm_simd128.h>
#endif

namespace {

constexpr size_t BLOCK = 16;

// Which bytes of a block are spaces, a bit a byte.
inline uint32_t spaces(const char *at) {
#ifdef __wasm_simd128__
    return wasm_i8x16_bitmask(wasm_i8x16_eq(wasm_v128_load(at), wasm_i8x16_splat(' ')));
#else
    uint32_t mask = 0;
    for (size_t i = 0; i < BLOCK; i++) mask |= static_cast<uint32_t>(at[i] == ' ') << i;
    return mask;
#endif
}

struct SplitWords {
    static constexpr auto name = "split-words", summary = "Splits text at spaces: one row a word.";
    static constexpr ms_setting settings[] = {
        ms::setting("column", MS_STRING, "The text column."),
        ms::optional(ms::setting("output", MS_STRING, "The name of the output column."), "\"word\""),
        {},
    };
    size_t column;

    explicit SplitWords(ms::Open open) : column(open.input(open.config().text("column"), MS_UTF8)) {
        open.output(open.config().text("output"), MS_UTF8, false);
    }

    void process(const ms_batch &batch, ms::Output output) const {
        const ms_column &text = batch.columns[column];
        ms_builder *builder = output.set(0).raw();
        const size_t bytes = batch.rows == 0 ? 0 : text.offsets[batch.rows];
        // Words and spaces take turns: there are no more words than this.
        if (!ms_reserve_text(builder, bytes / 2 + batch.rows, bytes)) return;
        // A copy that nothing points to stays in registers.
        ms_builder words = *builder;
        const char *all = text.as.bytes;
        for (size_t row = 0; row < batch.rows; row++) {
            if (!ms_is_null(&text, row)) split(words, all + text.offsets[row], all + text.offsets[row + 1], all + bytes);
        }
        *builder = words;
    }

    // Adds the words between `at` and `end`; there are `readable` bytes to look at.
    static void split(ms_builder &words, const char *at, const char *end, const char *readable) {
        const char *word = at;
        for (; at < end; at += BLOCK) {
            char last[BLOCK] = {};
            const bool whole = static_cast<size_t>(readable - at) >= BLOCK;
            if (!whole) std::memcpy(last, at, static_cast<size_t>(readable - at));
            uint32_t found = spaces(whole ? at : last);
            if (static_cast<size_t>(end - at) < BLOCK) found &= (1u << (end - at)) - 1;
            for (; found != 0; found &= found - 1) {
                const char *space = at + std::countr_zero(found);
                if (space > word) push(words, word, space, readable);
                word = space + 1;
            }
        }
        if (end > word) push(words, word, end, readable);
    }

    static void push(ms_builder &words, const char *word, const char *end, const char *readable) {
        const auto len = static_cast<size_t>(end - word);
        if (readable - word >= MS_SLACK) return ms_push_part(&words, word, len);
        std::memcpy(words.values + words.used, word, len);
        words.offsets[++words.rows] = static_cast<uint32_t>(words.used += len);
    }
};

} // namespace

const ms_operator split_words = ms::transform<SplitWords>;
