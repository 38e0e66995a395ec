/* The example operators, run natively: `make test`. */
#include "millstream_testing.h"

#include <stdio.h>
#include <stdlib.h>

/* The tests of the operators in C++ and Zig are these, too. */
#ifndef PLUGIN
#define PLUGIN "examples-c"
#endif
#define WORDS "{\"column\":\"t\"}"

static void words_are_what_spaces_part(void) {
    ms_test ran = ms_test_transform("split-words", WORDS, "t utf8?",
                                    "{\"t\":\"  To be  or\\tnot \"}\n{\"t\":null}\n{\"t\":\"\"}\n{\"t\":\"   \"}\n"
                                    "{\"t\":\"\xc3\xbcn\xc3\xaf\xc2\xa0x \xf0\x9f\xa6\x80\"}\n");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"word\":\"To\"}\n{\"word\":\"be\"}\n{\"word\":\"or\\u0009not\"}\n"
                         "{\"word\":\"\xc3\xbcn\xc3\xaf\xc2\xa0x\"}\n{\"word\":\"\xf0\x9f\xa6\x80\"}\n");
}

/* Lines around the 64 bytes that are looked at together and the 16 that are copied together. */
static void words_of_all_lengths(void) {
    static char line[4096], wanted[8192];
    for (size_t word = 1; word < 150; word++) {
        size_t at = 0, out = 0;
        at += (size_t)sprintf(line + at, "{\"t\":\"");
        for (size_t i = 0; i < 5; i++) {
            size_t start = at;
            for (size_t j = 0; j < word + i; j++) line[at++] = (char)('a' + (j + i) % 26);
            out += (size_t)sprintf(wanted + out, "{\"word\":\"%.*s\"}\n", (int)(at - start), line + start);
            for (size_t j = 0; j <= i % 3; j++) line[at++] = ' ';
        }
        sprintf(line + at, "\"}");
        ms_test_is(ms_test_transform("split-words", WORDS, "t utf8", line).rows, wanted);
    }
}

static void configs_are_checked(void) {
    ms_test_is(ms_test_transform("split-words", "{}", "t utf8", "").error, "config: missing field `column`");
    ms_test_is(ms_test_transform("split-words", "{\"column\":3}", "t utf8", "").error,
               "config.column is a number, not a string");
    ms_test_is(ms_test_transform("split-words", "{\"column\":\"t\",\"outptu\":\"w\"}", "t utf8", "").error,
               "config has no key `outptu`; did you mean `output`?");
    ms_test_is(ms_test_transform("split-words", "{", "t utf8", "").error, "config is not JSON");
    ms_test_is(ms_test_transform("split-words", WORDS, "t int64", "").error, "the column `t` is int64, but must be utf8");
    ms_test_is(ms_test_transform("split-words", WORDS, "s utf8, u utf8", "").error,
               "the input has no column `t`; did you mean `s`?");
    ms_test_is(ms_test_transform("currency", "{\"column\":\"p\",\"rate\":2,\"output\":\"p\"}", "p float64", "").error,
               "the output would have two columns `p`; give one another name");
    ms_test_is(ms_test_transform("splt-words", WORDS, "t utf8", "").error,
               "the plugin `" PLUGIN "` has no operator `splt-words`; did you mean `split-words`?");
    ms_test_is(ms_test_transform("mean", WORDS, "t utf8", "").error, "the operator `mean` is of the kind aggregate, not transform");
}

static void the_schema_follows_from_the_settings(void) {
    ms_test_is(ms_test_schema("mean"),
               "{\"type\":\"object\",\"description\":\"The mean of a column of numbers.\",\"properties\":{\"column\":"
               "{\"type\":\"string\",\"description\":\"The int64 or float64 column; nulls do not count.\"}},"
               "\"required\":[\"column\"],\"additionalProperties\":false}");
}

static void currencies_follow_ieee(void) {
    ms_test ran = ms_test_transform("currency", "{\"column\":\"p\",\"rate\":2}", "k utf8, p float64?",
                                    "{\"k\":\"a\",\"p\":1.25}\n{\"k\":\"b\",\"p\":null}\n{\"k\":\"c\",\"p\":-0.0}\n{\"k\":\"d\",\"p\":1e308}\n");
    ms_test_is(ran.rows, "{\"k\":\"a\",\"p\":1.25,\"converted\":2.5}\n{\"k\":\"b\",\"p\":null,\"converted\":null}\n"
                         "{\"k\":\"c\",\"p\":-0,\"converted\":-0}\n{\"k\":\"d\",\"p\":1e+308,\"converted\":inf}\n");
}

static void json_is_picked_or_rejected(void) {
    ms_test ran = ms_test_transform(
        "json-pick",
        "{\"column\":\"d\",\"fields\":[{\"name\":\"a\",\"type\":\"int64\"},{\"name\":\"s\",\"pointer\":\"/x~1y/1/~0\",\"type\":\"utf8\"}]}",
        "d utf8?",
        "{\"d\":\"{\\\"a\\\":9007199254740993}\"}\n{\"d\":\"{\\\"a\\\":9223372036854775808}\"}\n{\"d\":null}\n{\"d\":\"NaN\"}\n"
        "{\"d\":\"{\\\"a\\\":1e3,\\\"x/y\\\":[0,{\\\"~\\\":\\\"\\\\u00e9\\\\ud83e\\\\udd80\\\"}]}\"}\n"
        "{\"d\":\"{\\\"a\\\":1,\\\"a\\\":2} \"}\n{\"d\":\"{\\\"a\\\":1.5}\"}\n{\"d\":\"[1] x\"}\n{\"d\":\"{\\\"x/y\\\":[0,{\\\"~\\\":\\\"\\\\ud800\\\"}]}\"}\n");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"a\":9007199254740993,\"s\":null}\n{\"a\":null,\"s\":null}\n"
                         "{\"a\":1000,\"s\":\"\xc3\xa9\xf0\x9f\xa6\x80\"}\n{\"a\":2,\"s\":null}\n");
    ms_test_is(ran.rejected, "1: /a is no int64\n3: not JSON\n6: /a is no int64\n7: not JSON\n"
                             "8: /x~1y/1/~0 holds half of a surrogate pair, which is no text\n");
}

static void means_are_by_group(void) {
    ms_test ran = ms_test_aggregate("mean", "{\"column\":\"n\"}", "k utf8, n int64?",
                                    "{\"k\":\"a\",\"n\":1}\n{\"k\":\"b\",\"n\":null}\n{\"k\":\"a\",\"n\":4}\n{\"k\":\"a\",\"n\":null}\n", "k");
    ms_test_is(ran.error, NULL);
    ms_test_is(ran.rows, "{\"mean\":2.5}\n{\"mean\":null}\n");
}

static void sessions_open_join_and_end(void) {
    ms_test_is(ms_test_keyed("sessions", "{\"time\":\"at\",\"gap_ms\":1}", "u utf8, at timestamp?", "u").error, NULL);
    ms_test ran = ms_test_turn(0, "{\"u\":\"a\",\"at\":3000}\n{\"u\":\"a\",\"at\":500}\n{\"u\":\"b\",\"at\":null}\n{\"u\":\"a\",\"at\":1400}\n");
    ms_test_is(ran.rows, "");
    ms_test_is(ran.rejected, "0: `at` is null\n");
    ran = ms_test_turn(2400, "");
    ms_test_is(ran.rows, "{\"u\":\"a\",\"start\":500,\"end\":1400,\"count\":2}\n");
    ms_test_is(ms_test_states() == 1 ? "one" : "other", "one");
    ms_test_is(ms_test_turn(9000, "").rows, "{\"u\":\"a\",\"start\":3000,\"end\":3000,\"count\":1}\n");
    ms_test_is(ms_test_states() == 0 ? "none" : "some", "none");
    ms_test_is(ms_test_keyed("sessions", "{\"time\":\"at\",\"gap_ms\":0}", "u utf8, at timestamp", "u").error,
               "config.gap_ms is 0: every row would be a session");
}

#define BAD_ROWS "{\"t\":\"a\"}\n{\"t\":null}\n{\"t\":\"c\"}"

static ms_test hostile_does(const char *deed) {
    static char config[64];
    snprintf(config, sizeof config, "{\"do\":\"%s\",\"column\":\"t\"}", deed);
    return ms_test_transform("hostile", config, "t utf8?", BAD_ROWS);
}

static void mistakes_are_errors_that_name_the_place(void) {
    ms_test_is(hostile_does("nothing").error, NULL);
    ms_test_is(hostile_does("throw").error, NULL);
    ms_test_is(hostile_does("uneven").error,
               "operator `hostile`: column `t`, row 2: the output column has 2 rows, but the rows kept are 3");
    ms_test_is(hostile_does("null").error,
               "operator `hostile`: column `out`, row 2: a null, but the output schema says that the column has none");
    ms_test_is(hostile_does("overflow").error,
               "operator `hostile`: column `out`, row 2: overflow: 9223372036854775808 does not fit an int64");
    ms_test_is(hostile_does("wrong-type").error, "operator `hostile`: column `out`, row 0: text was pushed into a column of int64");
    ms_test_is(hostile_does("sing").error, "config.do is `sing`, which it cannot be; did you mean `spin`?");
}

static void what_is_told_is_heard(void) {
    ms_test_heard();
    ms_test ran = hostile_does("tell");
    ms_test_is(ran.rows, BAD_ROWS "\n");
    ms_test_is(ms_test_heard(), "log 3 rows\ncount told 3\nobserve share 0.5\n");
}

static ms_test hostile_sum_does(const char *deed) {
    static char config[64];
    snprintf(config, sizeof config, "{\"do\":\"%s\",\"column\":\"t\"}", deed);
    return ms_test_aggregate("hostile-sum", config, "t utf8?, k utf8", "{\"t\":\"a\",\"k\":\"x\"}\n{\"t\":null,\"k\":\"y\"}\n{\"t\":\"c\",\"k\":\"x\"}", "k");
}

static void a_hostile_sum_counts_or_names_the_output_row(void) {
    ms_test_is(hostile_sum_does("nothing").rows, "{\"n\":2}\n{\"n\":1}\n");
    ms_test_is(hostile_sum_does("throw").error, NULL);
    ms_test_is(hostile_sum_does("null").error,
               "operator `hostile-sum`: column `n`, row 0: a null, but the output schema says that the column has none");
    ms_test_is(hostile_sum_does("overflow").error,
               "operator `hostile-sum`: column `n`, row 0: overflow: 9223372036854775808 does not fit an int64");
}

static ms_test hostile_keyed_does(const char *deed, int64_t watermark, const char *rows) {
    static char config[64];
    snprintf(config, sizeof config, "{\"do\":\"%s\",\"column\":\"t\",\"time\":\"at\"}", deed);
    ms_test_is(ms_test_keyed("hostile-keyed", config, "t utf8?, at timestamp?, k utf8", "k").error, NULL);
    return ms_test_turn(watermark, rows);
}

static void a_hostile_keyed_counts_or_names_the_output_row(void) {
    const char *rows = "{\"t\":\"a\",\"at\":5,\"k\":\"x\"}\n{\"t\":null,\"at\":null,\"k\":\"y\"}\n{\"t\":\"c\",\"at\":7,\"k\":\"x\"}";
    const char *counts = "{\"k\":\"x\",\"n\":1}\n{\"k\":\"y\",\"n\":1}\n{\"k\":\"x\",\"n\":2}\n";
    ms_test_is(hostile_keyed_does("nothing", 0, rows).rows, counts);
    ms_test_is(ms_test_states() == 2 ? "two" : "other", "two");
    ms_test_is(hostile_keyed_does("throw", 0, rows).rows, counts);
    /* No timer of the row without a time, and that of `x` is not due yet. */
    ms_test_is(hostile_keyed_does("throw-timer", 0, rows).rows, counts);
    ms_test_is(ms_test_turn(1006, "").error, NULL);
    ms_test_is(hostile_keyed_does("null", 0, rows).error,
               "operator `hostile-keyed`: column `n`, row 0: a null, but the output schema says that the column has none");
    ms_test_is(hostile_keyed_does("overflow", 0, rows).error,
               "operator `hostile-keyed`: column `n`, row 0: overflow: 9223372036854775808 does not fit an int64");
}

int main(void) {
    words_are_what_spaces_part();
    words_of_all_lengths();
    configs_are_checked();
    the_schema_follows_from_the_settings();
    currencies_follow_ieee();
    json_is_picked_or_rejected();
    means_are_by_group();
    sessions_open_join_and_end();
    mistakes_are_errors_that_name_the_place();
    what_is_told_is_heard();
    a_hostile_sum_counts_or_names_the_output_row();
    a_hostile_keyed_counts_or_names_the_output_row();
    puts("all tests passed");
    return 0;
}
