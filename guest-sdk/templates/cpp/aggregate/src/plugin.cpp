// The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and adds
// up the parts of its workers with `merge`.
#include "millstream.hpp"

namespace {

struct Share {
    static constexpr auto name = "share", summary = "The share of rows in which a column is true.";
    static constexpr ms_setting settings[] = {
        ms::setting("column", MS_STRING, "The boolean column; nulls do not count."),
        {},
    };
    // How many are true, and how many there are: all zero for a group without rows.
    struct State {
        int64_t yes, all;
    };
    size_t column;

    explicit Share(ms::Open open) : column(open.input(open.config().text("column"), MS_BOOLEAN)) {
        open.output("share", MS_FLOAT64, true);
    }

    void accumulate(std::span<State> states, std::span<const uint32_t> groups, const ms_batch &batch) const {
        const ms_column &values = batch.columns[column];
        for (size_t row = 0; row < batch.rows; row++) {
            if (ms_is_null(&values, row)) continue;
            states[groups[row]].yes += ms_get_boolean(&values, row);
            states[groups[row]].all++;
        }
    }

    void merge(State &state, const State &other) const {
        state.yes += other.yes;
        state.all += other.all;
    }

    void finish(const State &state, ms::Output output) const {
        if (state.all == 0) return output.set(0).push_null();
        output.set(0).push(static_cast<double>(state.yes) / static_cast<double>(state.all));
    }
};

} // namespace

MS_PLUGIN("{{name}}", "0.1.0", "Shares.", &ms::aggregate<Share>);
