// `hostile-sum`: what an aggregate can do wrong, for tests of host and kit. Its state is the number of rows.
#include "operators.hpp"

#include <cassert>

namespace {

constexpr const char *deeds[] = {"nothing", "throw", "throw-merge", "throw-finish", "null", "overflow", nullptr};

struct HostileSum {
    static constexpr auto name = "hostile-sum", summary = "Does wrong what an aggregate can do wrong.";
    static constexpr ms_setting settings[] = {
        ms::one_of(ms::setting("do", MS_STRING, "What it does."), deeds),
        ms::setting("column", MS_STRING, "The text column; `throw` waits for `bad` in it."),
        {},
    };
    using State = uint64_t;
    std::string_view deed;
    size_t column;

    explicit HostileSum(ms::Open open)
        : deed(open.config().text("do")), column(open.input(open.config().text("column"), MS_UTF8)) {
        open.output("n", MS_INT64, false);
    }

    void accumulate(std::span<State> states, std::span<const uint32_t> groups, const ms_batch &batch) const {
        for (size_t row = 0; row < batch.rows; row++) {
            assert(deed != "throw" || !is_bad(batch, row, column));
            states[groups[row]]++;
        }
    }

    void merge(State &state, const State &other) const {
        assert(deed != "throw-merge");
        state += other;
    }

    void finish(const State &state, ms::Output output) const {
        assert(deed != "throw-finish");
        ms::Builder builder = output.set(0);
        if (deed == "null") return builder.push_null();
        builder.push_integer(deed == "overflow" ? uint64_t{1} << 63 : state);
    }
};

} // namespace

const ms_operator hostile_sum = ms::aggregate<HostileSum>;
