/* The operators of this plugin, a file each. */
#include "millstream.h"

extern const ms_operator split_words, currency, json_pick, mean, sessions, hostile, hostile_sum, hostile_keyed;

/* Whether the text of a row is `bad`. It reads by the column's name, so that the kit can say the place if what comes
 * of it is an abort. */
bool is_bad(const ms_batch *batch, size_t row, size_t column);
