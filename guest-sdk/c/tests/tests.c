/* The kit's own tests: rows kept, columns of all types, configs, JSON, memory. Operators are tested in plugins/examples. */
#include "core.h"
#include "millstream_testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define IN "s utf8?, n int64?, x boolean?"
#define ROWS "{\"s\":\"a\",\"n\":1,\"x\":true}\n{\"s\":null,\"n\":null,\"x\":null}\n{\"s\":\"\xc3\xa9\",\"n\":9007199254740993,\"x\":false}\n"

static void truth(bool is, const char *what) { ms_test_is(is ? "so" : what, "so"); }

static void rows_are_kept_repeated_skipped_and_rejected_once(void) {
    ms_test ran = ms_test_transform("tries", "{\"way\":\"rows\"}", IN, ROWS);
    ms_test_is(ran.rows, "{\"s\":\"\xc3\xa9\",\"n\":9007199254740993,\"x\":false}\n{\"s\":\"a\",\"n\":1,\"x\":true}\n"
                         "{\"s\":\"a\",\"n\":1,\"x\":true}\n{\"s\":null,\"n\":null,\"x\":null}\n");
    ran = ms_test_transform("tries", "{\"way\":\"skip\"}", IN, ROWS);
    ms_test_is(ran.rows, "{\"s\":\"a\",\"n\":1,\"x\":true}\n{\"s\":\"\xc3\xa9\",\"n\":9007199254740993,\"x\":false}\n");
    ran = ms_test_transform("tries", "{\"way\":\"twice\"}", IN, ROWS);
    ms_test_is(ran.rows, "{\"s\":null,\"n\":null,\"x\":null}\n");
    ms_test_is(ran.rejected, "0: a\n2: \xc3\xa9\n");
    ms_test_is(ms_test_transform("tries", "{\"way\":\"beyond\"}", IN, ROWS).error,
               "operator `tries`: row 99 cannot be kept: the input has 3 rows");
}

static void a_column_that_nobody_built_is_named(void) {
    ms_test_is(ms_test_transform("tries", "{\"way\":\"forget\"}", IN, ROWS).error,
               "operator `tries`: column `new`: the output column was neither set nor kept");
    ms_test_is(ms_test_transform("tries", "{\"way\":\"skip\"}", "n int64", "{\"n\":1}").error,
               "operator `tries`: the batch has no column `s`");
}

static void columns_of_all_types_have_nulls(void) {
    ms_test ran = ms_test_transform("tries", "{\"way\":\"types\"}", "s utf8?", "{}\n{}\n{}\n{}\n");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"s\":null,\"i\":0,\"f\":0,\"b\":true,\"t\":0,\"z\":\"\"}\n{\"s\":null,\"i\":-1,\"f\":0.5,\"b\":false,\"t\":1,\"z\":\"b\"}\n"
                         "{\"s\":null,\"i\":null,\"f\":null,\"b\":null,\"t\":null,\"z\":null}\n"
                         "{\"s\":null,\"i\":-3,\"f\":1.5,\"b\":false,\"t\":3,\"z\":\"byt\"}\n");
    ms_test_is(ms_test_transform("tries", "{\"way\":\"rows\"}", "s utf8?", "").error,
               "operator `tries`: row 2 cannot be kept: the input has 0 rows");
}

static void configs_have_arrays_bounds_and_defaults(void) {
    ms_test_heard();
    ms_test_transform("tries", "{\"way\":\"tell\",\"on\":null,\"names\":[\"a\",\"b\"],\"parts\":[{\"name\":\"x\",\"share\":0.25}]}", IN, "");
    ms_test_is(ms_test_heard(), "warn 2 names, 1 parts, 3, on\ncount opened 2\nobserve share 0.25\n");
    const char *wrong[][2] = {
        {"{\"way\":\"tell\",\"names\":[\"a\",1]}", "config.names[1] is a number, not a string"},
        {"{\"way\":\"tell\",\"parts\":[{\"name\":\"x\",\"share\":2}]}", "config.parts[0].share is 2; it has to be from 0 to 1"},
        {"{\"way\":\"tell\",\"parts\":[{\"nam\":\"x\",\"share\":1}]}", "config.parts[0] has no key `nam`; did you mean `name`?"},
        {"{\"way\":\"tell\",\"many\":1.5}", "config.many is 1.5, which is no whole number of 64 bits"},
        {"{\"way\":\"tell\",\"many\":9223372036854775808}", "config.many is 9223372036854775808, which is no whole number of 64 bits"},
        {"{\"way\":\"tel\"}", "config.way is `tel`, which it cannot be; did you mean `tell`?"},
        {"{\"way\":null}", "config.way is null, not a string"},
        {"[]", "config is an array, not an object"},
        {"{\"way\":\"tell\"} x", "config is not JSON"},
        {"", "config: missing field `way`"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) ms_test_is(ms_test_transform("tries", wrong[i][0], IN, "").error, wrong[i][1]);
}

static void states_may_be_bytes(void) {
    ms_test ran = ms_test_aggregate("longest", "{}", "k utf8, s utf8?",
                                    "{\"k\":\"a\",\"s\":\"x\"}\n{\"k\":\"b\",\"s\":null}\n{\"k\":\"a\",\"s\":\"longer\"}\n{\"k\":\"c\",\"s\":\"\"}\n{\"k\":\"a\",\"s\":\"mid\"}\n", "k");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"longest\":\"longer\"}\n{\"longest\":null}\n{\"longest\":\"\"}\n");
}

static ms_raw_column counts(int64_t first, int64_t second) {
    uint32_t offsets[3] = {0, 8, 16};
    int64_t values[2] = {first, second};
    ms_raw_column column = {{NULL, 0}, ms_raw_of(offsets, sizeof offsets), ms_raw_of(values, sizeof values)};
    return column;
}

static void states_are_merged_and_retracted_pair_by_pair(void) {
    ms_schema none = {NULL, 0}, output;
    ms_raw_column answer;
    ms_core_open(MS_AGGREGATE, ms_text_of("count"), ms_text_of("{}"), none, none, &output);
    truth(ms_core_merge(counts(1, 2), counts(10, 20), &answer), "merged");
    truth(memcmp(answer.values.data, (int64_t[]){11, 22}, 16) == 0, "sums");
    truth(ms_core_retract(answer, counts(1, 2), &answer), "retracted");
    truth(memcmp(answer.values.data, (int64_t[]){10, 20}, 16) == 0, "what was there");
    ms_free_column(&answer);
    ms_core_open(MS_AGGREGATE, ms_text_of("longest"), ms_text_of("{}"), none, (ms_schema){&(ms_field){{"s", 1}, MS_UTF8, true}, 1}, &output);
    truth(!ms_core_retract(counts(1, 2), counts(1, 2), &answer), "refused");
    ms_text failure = ms_failure();
    truth(ms_text_is(failure, "operator `longest`: this aggregate cannot take out what was put in"), failure.data);
}

static void an_aggregate_of_no_groups_has_all_its_columns(void) {
    ms_schema none = {NULL, 0}, output;
    uint32_t offset = 0;
    ms_raw_column forms[] = {{{NULL, 0}, {NULL, 0}, {NULL, 0}}, {{NULL, 0}, ms_raw_of(&offset, 4), {NULL, 0}}};
    for (size_t i = 0; i < 2; i++) {
        ms_raw_batch answer = {0, NULL, 0};
        ms_core_open(MS_AGGREGATE, ms_text_of("range"), ms_text_of("{}"), none, none, &output);
        truth(ms_core_finish(forms[i], &answer), "finished");
        truth(answer.rows == 0 && answer.count == 2, "two columns without rows");
        ms_free_batch(&answer);
    }
}

/* The failure of pushing a number into a column, NULL when it fits. */
static const char *pushed(ms_type type, bool is_signed, uint64_t number) {
    ms_builder builder;
    memset(&builder, 0, sizeof builder);
    builder.field = (ms_field){{"n", 1}, type, false};
    ms_begin_call("tries", NULL);
    /* The place is that of the number at fault. */
    ms_push_integer(&builder, 1);
    if (is_signed) {
        ms_push_integer(&builder, (int64_t)number);
    } else {
        ms_push_uint64(&builder, number);
    }
    ms_drop_builder(&builder);
    return ms_failed() ? ms_failure().data : NULL;
}

static void whole_numbers_fit_or_are_told(void) {
    ms_test_is(pushed(MS_INT32, true, INT32_MAX), NULL);
    ms_test_is(pushed(MS_INT32, true, (uint64_t)(int64_t)INT32_MIN), NULL);
    ms_test_is(pushed(MS_INT32, false, INT32_MAX), NULL);
    ms_test_is(pushed(MS_INT64, true, (uint64_t)INT64_MIN), NULL);
    ms_test_is(pushed(MS_INT64, false, INT64_MAX), NULL);
    ms_test_is(pushed(MS_TIMESTAMP, true, 5), NULL);
    ms_test_is(pushed(MS_INT32, true, 2147483648), "operator `tries`: column `n`, row 1: overflow: 2147483648 does not fit an int32");
    ms_test_is(pushed(MS_INT32, true, (uint64_t)-2147483649), "operator `tries`: column `n`, row 1: overflow: -2147483649 does not fit an int32");
    ms_test_is(pushed(MS_DATE, false, UINT64_MAX), "operator `tries`: column `n`, row 1: overflow: 18446744073709551615 does not fit an int32");
    ms_test_is(pushed(MS_INT64, false, (uint64_t)1 << 63), "operator `tries`: column `n`, row 1: overflow: 9223372036854775808 does not fit an int64");
    ms_test_is(pushed(MS_UTF8, true, 1), "operator `tries`: column `n`, row 0: an int64 was pushed into a column of utf8");
}

static void last_words_name_the_place_and_what_failed_before(void) {
    char words[256];
    ms_begin_call("tries", NULL);
    ms_last_words(words, sizeof words);
    ms_test_is(words, "aborted in the kit");
    ms_enter(millstream_plugin.operators[0], "process");
    ms_last_words(words, sizeof words);
    ms_test_is(words, "operator `tries`: aborted in process");
    ms_field field = {{"s", 1}, MS_UTF8, true};
    uint8_t null = 0;
    ms_column column = {&field, 1, &null, NULL, {NULL}};
    ms_schema schema = {&field, 1};
    ms_batch batch = {1, &schema, &column};
    ms_text text;
    ms_row_text(&batch, 0, "s", &text);
    ms_fail("there is no memory");
    ms_last_words(words, sizeof words);
    ms_test_is(words, "operator `tries`: column `s`, row 0: aborted in process, after the failure: operator `tries`: there is no memory");
}

static void json_is_that_of_the_standard(void) {
    const char *good[] = {"0", "-0", "1e5", "1E+5", "-1.5e-3", "\"\\u00e9\\n\"", "[]", " [1 , 2] ", "{\"a\":{\"b\":[null,true,false]}}", "\"\x7f\""};
    const char *bad[] = {"", " ", "01", "+1", ".5", "1.", "1e", "NaN", "Infinity", "'a'", "\"\n\"", "\"\\x\"", "\"\\u12g4\"", "[1,]", "{\"a\"}", "{a:1}", "[1] 2", "nul", "\"", "\"\\", "\"\\u", "\xef\xbb\xbf{}", "[", "{\"a\":1,}"};
    ms_begin_call(NULL, NULL);
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) truth(ms_json_read(ms_text_of(good[i])) != NULL, good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) truth(ms_json_read(ms_text_of(bad[i])) == NULL, bad[i]);
    /* Every cut of a document is refused and reads nothing behind its end. */
    const char *whole = "{\"a\\u00e9\":[1.5e3,{\"b\":\"\\ud83e\\udd80\"},true,null]}";
    for (size_t len = 0; len < strlen(whole); len++) {
        char *cut = malloc(len + 1);
        memcpy(cut, whole, len);
        ms_text text = {cut, len};
        truth(ms_json_read(text) == NULL, "a cut document");
        free(cut);
    }
    char deep[2001];
    memset(deep, '[', 1000), memset(deep + 1000, ']', 1000), deep[2000] = 0;
    truth(ms_json_read(ms_text_of(deep)) == NULL, "deep");
    truth(!ms_failed(), "no failure");
}

static void numbers_are_exact_to_64_bits(void) {
    const struct {
        const char *text;
        bool whole;
        int64_t value;
    } cases[] = {{"9007199254740993", true, 9007199254740993}, {"9223372036854775807", true, INT64_MAX}, {"-9223372036854775808", true, INT64_MIN},
                 {"9223372036854775808", false, 0}, {"1e3", true, 1000}, {"1.50", false, 0}, {"9007199254740992.0", true, 9007199254740992},
                 {"9007199254740994.0", false, 0}, {"-0", true, 0}, {"1e400", false, 0}};
    ms_begin_call(NULL, NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t value = 0;
        truth(ms_json_int64(ms_json_read(ms_text_of(cases[i].text)), &value) == cases[i].whole && (!cases[i].whole || value == cases[i].value), cases[i].text);
    }
    double number;
    truth(ms_json_float64(ms_json_read(ms_text_of("-0.0")), &number) && signbit(number), "-0.0");
}

static void memory_of_a_call_is_given_back(void) {
    ms_begin_call(NULL, NULL);
    ms_alloc(100);
    ms_mark mark = ms_mark_now();
    void *first = ms_alloc(100);
    ms_alloc(1 << 20);
    ms_release(mark);
    truth(ms_alloc(100) == first, "the same memory");
    ms_alloc(SIZE_MAX);
    truth(ms_failed(), "no memory");
    ms_begin_call(NULL, NULL);
    truth(!ms_failed(), "a new call");
}

int main(void) {
    rows_are_kept_repeated_skipped_and_rejected_once();
    a_column_that_nobody_built_is_named();
    columns_of_all_types_have_nulls();
    configs_have_arrays_bounds_and_defaults();
    states_may_be_bytes();
    states_are_merged_and_retracted_pair_by_pair();
    an_aggregate_of_no_groups_has_all_its_columns();
    whole_numbers_fit_or_are_told();
    last_words_name_the_place_and_what_failed_before();
    json_is_that_of_the_standard();
    numbers_are_exact_to_64_bits();
    memory_of_a_call_is_given_back();
    puts("all tests passed");
    return 0;
}
