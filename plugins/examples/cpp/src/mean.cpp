// `mean`: of a column of numbers.
#include "operators.hpp"

namespace {

struct Mean {
    static constexpr auto name = "mean", summary = "The mean of a column of numbers.";
    static constexpr ms_setting settings[] = {
        ms::setting("column", MS_STRING, "The int64 or float64 column; nulls do not count."),
        {},
    };
    struct State {
        double sum;
        int64_t count;
    };
    size_t column;

    explicit Mean(ms::Open open) : column(open.input_any(open.config().text("column"))) {
        const bool whole = !ms_failed() && open.input()[column].type == MS_INT64;
        if (!whole) open.input(open.config().text("column"), MS_FLOAT64);
        open.output("mean", MS_FLOAT64, true);
    }

    void accumulate(std::span<State> states, std::span<const uint32_t> groups, const ms_batch &batch) const {
        const ms_column &numbers = batch.columns[column];
        if (numbers.field->type == MS_INT64) return add<int64_t>(states, groups, numbers);
        add<double>(states, groups, numbers);
    }

    template <typename T>
    static void add(std::span<State> states, std::span<const uint32_t> groups, const ms_column &numbers) {
        const auto values = ms::values<T>(numbers);
        for (size_t row = 0; row < values.size(); row++) {
            if (ms_is_null(&numbers, row)) continue;
            State &state = states[groups[row]];
            state.sum += static_cast<double>(values[row]);
            state.count++;
        }
    }

    void merge(State &state, const State &other) const {
        state.sum += other.sum;
        state.count += other.count;
    }

    void finish(const State &state, ms::Output output) const {
        if (state.count == 0) return output.set(0).push_null();
        output.set(0).push(state.sum / static_cast<double>(state.count));
    }
};

} // namespace

const ms_operator mean = ms::aggregate<Mean>;
