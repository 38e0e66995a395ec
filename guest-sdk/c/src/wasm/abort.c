/* In place of libc's `abort`, which says nothing: the host's report carries what is on stderr. `assert` comes here,
 * as does C++ when it gives up. */
#include "../core.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void ms_abort(void) {
    char words[1024];
    ms_last_words(words, sizeof words);
    fprintf(stderr, "%s\n", words);
    __builtin_trap();
}

/* Weak, since the libc of Zig may bring its own. */
__attribute__((__weak__)) _Noreturn void abort(void) { ms_abort(); }
