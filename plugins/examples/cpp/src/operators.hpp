// The operators of this plugin, a file each.
#pragma once
#include "millstream.hpp"

extern const ms_operator split_words, currency, mean, sessions, hostile;
// A plugin may take operators in C as they are.
extern "C" const ms_operator json_pick;
