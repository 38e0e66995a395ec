//! Tells which keys have been silent for a while. The host keeps a state and a timer for each key; the operator gets them
//! with the rows of the key, and again when the timer is due.
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "time", .type = ms.MS_STRING, .about = "The timestamp column." },
    .{ .name = "after_ms", .type = ms.MS_INTEGER, .about = "How long, in milliseconds.", .min = 0, .max = 4294967295 },
    .{},
};

const Silent = struct { column: usize, after: i64 };

/// Called once for each instance.
fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *Silent = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(Silent)) orelse return null));
    self.column = ms.ms_input(with, ms.ms_config_text(config, "time"), ms.MS_TIMESTAMP);
    self.after = ms.ms_config_integer(config, "after_ms") * 1000;
    // What comes behind the columns of the key.
    _ = ms.ms_output_field(with, ms.ms_text_of("since"), ms.MS_TIMESTAMP, false);
    return self;
}

/// The state of a key is the time of its last row.
fn lastOf(key: ?*const ms.ms_key) ?i64 {
    const state = ms.ms_key_state(key);
    if (state.data == null) return null;
    return @bitCast(state.data[0..8].*);
}

fn onRow(context: ?*anyopaque, key: ?*ms.ms_key, row: usize) callconv(.c) void {
    const self: *Silent = @ptrCast(@alignCast(context));
    const time = &ms.ms_key_rows(key).*.columns[self.column];
    if (ms.ms_is_null(time, row)) return ms.ms_key_reject(key, row, "it has no time");
    const at = time.*.as.int64[row];
    const last = @max(at, lastOf(key) orelse at);
    ms.ms_key_put(key, &last, @sizeOf(i64));
    ms.ms_key_timer(key, last + self.after);
}

fn onTimer(_: ?*anyopaque, key: ?*ms.ms_key, at: i64) callconv(.c) void {
    ms.ms_push_timestamp(ms.ms_set(ms.ms_key_emit(key), 0), lastOf(key) orelse at);
    // Nothing is kept of a silent key.
    ms.ms_key_drop(key);
}

const silent: ms.ms_operator = .{
    .name = "silent",
    .kind = ms.MS_KEYED,
    .summary = "Keys without rows for a while.",
    .settings = &settings,
    .open = open,
    .on_row = onRow,
    .on_timer = onTimer,
};

const operators = [_][*c]const ms.ms_operator{&silent};

export const millstream_plugin: ms.ms_plugin = .{
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Silence.",
    .operators = &operators,
    .operator_count = operators.len,
};
