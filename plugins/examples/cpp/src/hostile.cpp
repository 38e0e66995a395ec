// `hostile`: all that an operator can do wrong, for tests of the host and of the kit.
#include "operators.hpp"

#include <cassert>
#include <cstdlib>

namespace {

constexpr const char *deeds[] = {"nothing", "throw", "spin", "grow", "uneven", "null", "overflow", "wrong-type", nullptr};

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
        if (deed == "null") return output.set(0).push_null();
        if (deed == "overflow") return output.set(0).push(uint64_t{1} << 63);
        if (deed == "wrong-type") return output.set(0).push("text");
        if (deed == "spin") spin();
        if (deed == "grow") return grow();
        if (deed == "uneven") {
            ms::Builder builder = output.set(column);
            for (size_t row = 0; row + 1 < batch.rows; row++) builder.push("short");
        }
        for (size_t row = 0; deed == "throw" && row < batch.rows; row++) {
            // There are no exceptions in this build. It says the file and the line on stderr, which the host's report carries.
            assert(ms::text_at(batch.columns[column], row) != "bad");
        }
        output.keep();
    }

    [[noreturn]] static void spin() {
        for (;;) __asm__ volatile(""); // A loop without effects may be taken out.
    }

    static void grow() {
        while (volatile char *memory = static_cast<char *>(std::malloc(1 << 20))) memory[0] = 1;
        ms_fail("there is no more memory");
    }
};

} // namespace

const ms_operator hostile = ms::transform<Hostile>;
