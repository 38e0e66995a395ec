/* `make test` runs them natively. */
#include "millstream_testing.h"

int main(void) {
    ms_test ran = ms_test_aggregate("share", "{\"column\":\"late\"}", "shop utf8, late boolean?",
                                    "{\"shop\":\"a\",\"late\":true}\n{\"shop\":\"b\",\"late\":null}\n{\"shop\":\"a\",\"late\":false}", "shop");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"share\":0.5}\n{\"share\":null}\n");
    return 0;
}
