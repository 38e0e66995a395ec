/* The operators of this plugin, a file each. */
#include "millstream.h"

extern const ms_operator split_words, currency, json_pick, mean, sessions, hostile;
