// `hostile-keyed`: what a keyed operator can do wrong, for tests of host and kit. Its state is the number
// of rows of the key.
#include "operators.hpp"

#include <cassert>
#include <limits>

namespace {

constexpr const char *deeds[] = {"nothing", "throw", "throw-timer", "null", "overflow", nullptr};

struct HostileKeyed {
    static constexpr auto name = "hostile-keyed", summary = "Does wrong what a keyed operator can do wrong.";
    static constexpr ms_setting settings[] = {
        ms::one_of(ms::setting("do", MS_STRING, "What it does."), deeds),
        ms::setting("column", MS_STRING, "The text column; `throw` waits for `bad` in it."),
        ms::setting("time", MS_STRING, "The timestamp column."),
        {},
    };
    std::string_view deed;
    size_t column, time;

    explicit HostileKeyed(ms::Open open)
        : deed(open.config().text("do")), column(open.input(open.config().text("column"), MS_UTF8)),
          time(open.input(open.config().text("time"), MS_TIMESTAMP)) {
        open.output("n", MS_INT64, false);
    }

    void on_row(ms::Key key, size_t row) const {
        assert(deed != "throw" || !is_bad(key.rows(), row, column));
        const auto state = key.state<uint64_t>();
        const uint64_t seen = state.empty() ? 1 : state[0] + 1;
        key.put<uint64_t>({&seen, 1});
        ms::Builder builder = key.emit().set(0);
        if (deed == "throw-timer") set_timer(key, key.rows().columns[time], row);
        if (deed == "null") return builder.push_null();
        builder.push_integer(deed == "overflow" ? uint64_t{1} << 63 : seen);
    }

    static void set_timer(ms::Key key, const ms_column &time, size_t row) {
        constexpr int64_t latest = std::numeric_limits<int64_t>::max() - 1000;
        if (!ms_is_null(&time, row) && time.as.int64[row] <= latest) key.timer(time.as.int64[row] + 1000);
    }

    void on_timer(ms::Key, int64_t) const { assert(!"the timer of `hostile-keyed`"); }
};

} // namespace

const ms_operator hostile_keyed = ms::keyed<HostileKeyed>;
