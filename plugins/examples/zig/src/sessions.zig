//! `sessions`: rows of a key with less than a gap between them, given up once the gap has passed. The state is the open
//! sessions by time, more than one only while rows come out of order.
const std = @import("std");
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "time", .type = ms.MS_STRING, .about = "The timestamp column." },
    .{ .name = "gap_ms", .type = ms.MS_INTEGER, .about = "The gap, in milliseconds.", .min = 0, .max = 4294967295 },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "sessions",
    .kind = ms.MS_KEYED,
    .summary = "One row for each session of a key: rows with less than a gap of time between them.",
    .settings = &settings,
    .open = open,
    .on_row = onRow,
    .on_timer = onTimer,
};

/// Times in microseconds since the epoch.
const Session = extern struct { start: i64, end: i64, count: i64 };

const Sessions = struct {
    column: usize,
    gap: i64,

    /// When a session is over, if nothing comes.
    fn over(self: *const Sessions, session: Session) i64 {
        return session.end +| self.gap;
    }

    /// Adds a row to the open sessions, which it may join; there is room for one more.
    fn add(self: *const Sessions, open_ones: []Session, at: i64) []Session {
        var joined: Session = .{ .start = at, .end = at, .count = 1 };
        var kept: usize = 0;
        for (open_ones[0 .. open_ones.len - 1]) |one| {
            if (self.over(one) <= joined.start or self.over(joined) <= one.start) {
                open_ones[kept] = one;
                kept += 1;
            } else {
                joined = .{
                    .start = @min(joined.start, one.start),
                    .end = @max(joined.end, one.end),
                    .count = joined.count + one.count,
                };
            }
        }
        var place = kept;
        while (place > 0 and open_ones[place - 1].start >= joined.start) : (place -= 1) {
            open_ones[place] = open_ones[place - 1];
        }
        open_ones[place] = joined;
        return open_ones[0 .. kept + 1];
    }
};

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *Sessions = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(Sessions)) orelse return null));
    self.column = ms.ms_input(with, ms.ms_config_text(config, "time"), ms.MS_TIMESTAMP);
    self.gap = ms.ms_config_integer(config, "gap_ms") * 1000;
    if (self.gap == 0) ms.ms_fail("config.gap_ms is 0: every row would be a session");
    _ = ms.ms_output_field(with, ms.ms_text_of("start"), ms.MS_TIMESTAMP, false);
    _ = ms.ms_output_field(with, ms.ms_text_of("end"), ms.MS_TIMESTAMP, false);
    _ = ms.ms_output_field(with, ms.ms_text_of("count"), ms.MS_INT64, false);
    return self;
}

const allocator = std.heap.c_allocator;

/// The state as sessions, with room for one more behind them; to be freed.
fn read(key: ?*const ms.ms_key) ?[]Session {
    const state = ms.ms_key_state(key);
    const count = state.len / @sizeOf(Session);
    const sessions = allocator.alloc(Session, count + 1) catch {
        ms.ms_fail("there is no memory for the sessions of a key");
        return null;
    };
    if (count > 0) @memcpy(std.mem.sliceAsBytes(sessions[0..count]), state.data[0 .. count * @sizeOf(Session)]);
    return sessions;
}

fn write(key: ?*ms.ms_key, sessions: []const Session) void {
    const bytes = std.mem.sliceAsBytes(sessions);
    ms.ms_key_put(key, bytes.ptr, bytes.len);
}

fn onRow(context: ?*anyopaque, key: ?*ms.ms_key, row: usize) callconv(.c) void {
    const self: *Sessions = @ptrCast(@alignCast(context));
    const time = &ms.ms_key_rows(key).*.columns[self.column];
    if (ms.ms_is_null(time, row)) {
        const name = time.*.field.*.name;
        return ms.ms_key_reject(key, row, "`%.*s` is null", @as(c_int, @intCast(name.len)), name.data);
    }
    const sessions = read(key) orelse return;
    defer allocator.free(sessions);
    const open_ones = self.add(sessions, time.*.as.int64[row]);
    ms.ms_key_timer(key, self.over(open_ones[0]));
    write(key, open_ones);
}

fn onTimer(context: ?*anyopaque, key: ?*ms.ms_key, at: i64) callconv(.c) void {
    const self: *Sessions = @ptrCast(@alignCast(context));
    const clock = ms.ms_now();
    // The clock may be further than the timer.
    const now = if (clock.has_watermark) @max(clock.watermark, at) else at;
    const sessions = read(key) orelse return;
    defer allocator.free(sessions);
    var kept: usize = 0;
    for (sessions[0 .. sessions.len - 1]) |session| {
        if (self.over(session) > now) {
            sessions[kept] = session;
            kept += 1;
            continue;
        }
        const output = ms.ms_key_emit(key);
        ms.ms_push_timestamp(ms.ms_set(output, 0), session.start);
        ms.ms_push_timestamp(ms.ms_set(output, 1), session.end);
        ms.ms_push_int64(ms.ms_set(output, 2), session.count);
    }
    if (kept == 0) return ms.ms_key_drop(key);
    ms.ms_key_timer(key, self.over(sessions[0]));
    write(key, sessions[0..kept]);
}
