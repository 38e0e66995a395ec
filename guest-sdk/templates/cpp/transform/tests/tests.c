/* `make test` runs them natively. */
#include "millstream_testing.h"

int main(void) {
    ms_test ran = ms_test_transform("convert", "{\"column\":\"price\",\"rate\":3}", "price float64?",
                                    "{\"price\":2}\n{\"price\":-1}\n{\"price\":null}");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"price\":2,\"converted\":6}\n{\"price\":null,\"converted\":null}\n");
    ms_test_is(ran.rejected, "1: the price is -1\n");
    return 0;
}
