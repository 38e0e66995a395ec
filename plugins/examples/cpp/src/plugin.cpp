// The example operators in C++: what the same ones are in other languages, see plugins/examples.
#include "operators.hpp"

MS_PLUGIN("examples-cpp", "0.1.0", "The example operators, in C++.", &split_words, &currency, &json_pick, &mean,
          &sessions, &hostile, &hostile_sum, &hostile_keyed);
