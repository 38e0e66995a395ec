/* `make test` runs them natively. */
#include "millstream_testing.h"

int main(void) {
    ms_test_is(ms_test_keyed("silent", "{\"time\":\"at\",\"after_ms\":1}", "user utf8, at timestamp", "user").error, NULL);
    ms_test_is(ms_test_turn(0, "{\"user\":\"ann\",\"at\":0}\n{\"user\":\"bob\",\"at\":100}\n{\"user\":\"ann\",\"at\":500}").rows, "");
    ms_test_is(ms_test_turn(1200, "").rows, "{\"user\":\"bob\",\"since\":100}\n");
    ms_test_is(ms_test_turn(1500, "").rows, "{\"user\":\"ann\",\"since\":500}\n");
    return ms_test_states() == 0 ? 0 : 1;
}
