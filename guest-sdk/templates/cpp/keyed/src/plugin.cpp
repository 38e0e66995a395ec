// Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets them
// with the rows of the key, and again when the timer is due.
#include "millstream.hpp"

#include <algorithm>

namespace {

struct Silent {
    static constexpr auto name = "silent", summary = "Keys without rows for a while.";
    static constexpr ms_setting settings[] = {
        ms::setting("time", MS_STRING, "The timestamp column."),
        ms::within(ms::setting("after_ms", MS_INTEGER, "How long, in milliseconds."), 0, 4294967295.0),
        {},
    };
    size_t column;
    int64_t after;

    explicit Silent(ms::Open open)
        : column(open.input(open.config().text("time"), MS_TIMESTAMP)), after(open.config().integer("after_ms") * 1000) {
        // What comes behind the columns of the key.
        open.output("since", MS_TIMESTAMP, false);
    }

    void on_row(ms::Key key, size_t row) const {
        const ms_column &time = key.rows().columns[column];
        if (ms_is_null(&time, row)) return key.reject(row, "it has no time");
        // The state of a key is the time of its last row.
        const auto state = key.state<int64_t>();
        const int64_t last = std::max(time.as.int64[row], state.empty() ? INT64_MIN : state[0]);
        key.put<int64_t>({&last, 1});
        key.timer(last + after);
    }

    void on_timer(ms::Key key, int64_t at) const {
        const auto state = key.state<int64_t>();
        key.emit().set(0).push_timestamp(state.empty() ? at : state[0]);
        // Nothing is kept of a silent key.
        key.drop();
    }
};

} // namespace

MS_PLUGIN("{{name}}", "0.1.0", "Silence.", &ms::keyed<Silent>);
