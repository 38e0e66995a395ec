// `sessions`: rows of a key with less than a gap between them, given up once the gap has passed. The state is the
// open sessions by time, more than one only while rows come out of order.
#include "operators.hpp"

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

namespace {

struct Sessions {
    static constexpr auto name = "sessions",
                          summary = "One row for each session of a key: rows with less than a gap of time between them.";
    static constexpr ms_setting settings[] = {
        ms::setting("time", MS_STRING, "The timestamp column."),
        ms::within(ms::setting("gap_ms", MS_INTEGER, "The gap, in milliseconds."), 0, 4294967295.0),
        {},
    };
    // Times in microseconds since the epoch.
    struct Session {
        int64_t start, end, count;
    };
    size_t column;
    int64_t gap;

    explicit Sessions(ms::Open open)
        : column(open.input(open.config().text("time"), MS_TIMESTAMP)), gap(open.config().integer("gap_ms") * 1000) {
        if (gap == 0) ms_fail("config.gap_ms is 0: every row would be a session");
        open.output("start", MS_TIMESTAMP, false);
        open.output("end", MS_TIMESTAMP, false);
        open.output("count", MS_INT64, false);
    }

    // When a session is over, if nothing comes.
    int64_t over(const Session &session) const {
        constexpr int64_t never = std::numeric_limits<int64_t>::max();
        return session.end > never - gap ? never : session.end + gap;
    }

    void on_row(ms::Key key, size_t row) const {
        const ms_column &time = key.rows().columns[column];
        if (ms_is_null(&time, row)) {
            return key.reject(row, "`" + std::string(ms::view(time.field->name)) + "` is null");
        }
        const auto state = key.state<Session>();
        std::vector<Session> open(state.begin(), state.end());
        const int64_t at = time.as.int64[row];
        Session joined{at, at, 1};
        std::erase_if(open, [&](const Session &one) {
            if (over(one) <= joined.start || over(joined) <= one.start) return false;
            joined = {std::min(joined.start, one.start), std::max(joined.end, one.end), joined.count + one.count};
            return true;
        });
        const auto earlier = [](const Session &one, const Session &other) { return one.start < other.start; };
        open.insert(std::lower_bound(open.begin(), open.end(), joined, earlier), joined);
        key.timer(over(open.front()));
        key.put<Session>(open);
    }

    void on_timer(ms::Key key, int64_t at) const {
        // The clock may be further than the timer.
        const ms_clock clock = ms_now();
        const int64_t now = clock.has_watermark ? std::max(clock.watermark, at) : at;
        std::vector<Session> open;
        for (const Session &session : key.state<Session>()) {
            if (over(session) > now) {
                open.push_back(session);
                continue;
            }
            ms::Output output = key.emit();
            output.set(0).push_timestamp(session.start);
            output.set(1).push_timestamp(session.end);
            output.set(2).push(session.count);
        }
        if (open.empty()) return key.drop();
        key.timer(over(open.front()));
        key.put<Session>(open);
    }
};

} // namespace

const ms_operator sessions = ms::keyed<Sessions>;
