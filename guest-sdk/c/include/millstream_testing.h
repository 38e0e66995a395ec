/* Runs operators without Wasm, for `make test`: rows go in as JSON and come out as JSON, a line a row.
 *
 *     ms_test_is(ms_test_transform("split-words", "{\"column\":\"t\"}", "t utf8?", "{\"t\":\"a b\"}").rows,
 *                "{\"word\":\"a\"}\n{\"word\":\"b\"}\n");
 *
 * A schema is `name type, name type?`, with the types of Millstream and a question mark for columns with nulls.
 * What is answered lives until the next call of these functions. */
#ifndef MILLSTREAM_TESTING_H
#define MILLSTREAM_TESTING_H

#include "millstream.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ms_test {
    const char *rows;     /* a JSON object a line */
    const char *rejected; /* `row: reason` a line */
    const char *error;    /* NULL when the call went well */
} ms_test;

/* Opens a transform and gives it one batch. */
ms_test ms_test_transform(const char *operator_, const char *config, const char *schema, const char *rows);
/* Opens an aggregate and gives it each row in a state of its own, merged by the values of the column `by`, in the
 * order in which these come; then the results, a row a group. */
ms_test ms_test_aggregate(const char *operator_, const char *config, const char *schema, const char *rows, const char *by);
/* Opens a keyed operator whose key is the utf8 column `by`, without states. */
ms_test ms_test_keyed(const char *operator_, const char *config, const char *schema, const char *by);
/* Gives it rows, and the timers that `watermark` (microseconds) has passed; states and timers stay for the next turn. */
ms_test ms_test_turn(int64_t watermark, const char *rows);
size_t ms_test_states(void);
/* The JSON Schema of an operator's config. */
const char *ms_test_schema(const char *operator_);
/* What was logged and counted since the last look. */
const char *ms_test_heard(void);

/* Ends the program with both texts when they differ. */
#define ms_test_is(found, wanted) ms_test_is_at(__FILE__, __LINE__, found, wanted)
void ms_test_is_at(const char *file, int line, const char *found, const char *wanted);

#ifdef __cplusplus
}
#endif
#endif
