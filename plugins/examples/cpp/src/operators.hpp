// The operators of this plugin, a file each.
#pragma once
#include "millstream.hpp"

extern const ms_operator split_words, currency, mean, sessions, hostile, hostile_sum, hostile_keyed;
// A plugin may take operators in C as they are.
extern "C" const ms_operator json_pick;

// Whether the text of a row is `bad`. It reads by the column's name, so that the kit can say the place if what comes
// of it is an abort.
inline bool is_bad(const ms_batch &batch, size_t row, size_t column) {
    ms_text text;
    return ms_row_text(&batch, row, batch.schema->fields[column].name.data, &text) && ms::view(text) == "bad";
}
