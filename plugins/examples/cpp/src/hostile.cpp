// `hostile`: all that an operator can do wrong, for tests of the host and of the kit.
#include "operators.hpp"

#include <cassert>
#include <cstdio>
#include <cstdlib>
#include <limits>

namespace {

constexpr const char *deeds[] = {"nothing", "throw",    "spin",       "grow", "recurse", "fatal", "uneven",
                                 "null",    "overflow", "wrong-type", "tell", nullptr};

struct Hostile {
    static constexpr auto name = "hostile", summary = "Does wrong what an operator can do wrong.";
    static constexpr ms_setting settings[] = {
        ms::one_of(ms::setting("do", MS_STRING, "What it does."), deeds),
        ms::setting("column", MS_STRING, "The text column; `throw` waits for `bad` in it."),
        {},
    };
    std::string_view deed;
    size_t column;

    explicit Hostile(ms::Open open)
        : deed(open.config().text("do")), column(open.input(open.config().text("column"), MS_UTF8)) {
        if (deed == "null") {
            open.output("out", MS_UTF8, false);
        } else if (deed == "overflow" || deed == "wrong-type") {
            open.output("out", MS_INT64, true);
        } else {
            open.output_input();
        }
    }

    void process(const ms_batch &batch, ms::Output output) const {
        if (deed == "null" || deed == "overflow" || deed == "wrong-type") return wrong_column(batch.rows, output.set(0));
        if (deed == "spin") spin();
        if (deed == "grow") grow();
        if (deed == "recurse") recurse();
        if (deed == "fatal") fatal();
        if (deed == "tell") tell(batch.rows);
        if (deed == "uneven") {
            ms::Builder builder = output.set(column);
            for (size_t row = 0; row + 1 < batch.rows; row++) builder.push("short");
        }
        for (size_t row = 0; deed == "throw" && row < batch.rows; row++) {
            // There are no exceptions in this build. It says the file and the line on stderr, which the host's report carries.
            assert(!is_bad(batch, row, column));
        }
        output.keep();
    }

    // What is wrong is at the last row.
    void wrong_column(size_t rows, ms::Builder builder) const {
        for (size_t row = 0; row < rows; row++) {
            const bool last = row + 1 == rows;
            if (deed == "overflow") {
                builder.push_integer(last ? uint64_t{1} << 63 : row);
            } else if (deed == "null" && last) {
                builder.push_null();
            } else {
                builder.push("text");
            }
        }
    }

    [[noreturn]] static void spin() {
        for (;;) __asm__ volatile(""); // A loop without effects may be taken out.
    }

    static void grow() {
        while (volatile char *memory = static_cast<char *>(std::malloc(1 << 20))) memory[0] = 1;
        ms_fail("there is no more memory");
    }

    // Volatile, so that no compiler knows that there is no end, and there is something to do after each call.
    static inline volatile size_t depth = 0;

    static size_t recurse() {
        depth = depth + 1;
        if (depth == std::numeric_limits<size_t>::max()) return 0;
        return recurse() + depth;
    }

    [[noreturn]] static void fatal() {
        std::fputs("the end\n", stderr);
        std::abort();
    }

    static void tell(size_t rows) {
        ms_log(MS_INFO, "%zu rows", rows);
        ms_count("told", rows);
        ms_observe("share", 0.5);
    }
};

} // namespace

const ms_operator hostile = ms::transform<Hostile>;
