//! `hostile-keyed`: what a keyed operator can do wrong, for tests of host and kit. Its state is the number
//! of rows of the key.
const ms = @import("ms");
const isBad = @import("hostile.zig").isBad;

const deeds = [_][*c]const u8{ "nothing", "throw", "throw-timer", "null", "overflow", null };

const settings = [_]ms.ms_setting{
    .{ .name = "do", .type = ms.MS_STRING, .about = "What it does.", .choices = &deeds },
    .{ .name = "column", .type = ms.MS_STRING, .about = "The text column; `throw` waits for `bad` in it." },
    .{ .name = "time", .type = ms.MS_STRING, .about = "The timestamp column." },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "hostile-keyed",
    .kind = ms.MS_KEYED,
    .summary = "Does wrong what a keyed operator can do wrong.",
    .settings = &settings,
    .open = open,
    .on_row = onRow,
    .on_timer = onTimer,
};

const HostileKeyed = struct {
    deed: ms.ms_text,
    column: usize,
    time: usize,

    fn does(self: *const HostileKeyed, deed: [*c]const u8) bool {
        return ms.ms_text_is(self.deed, deed);
    }
};

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *HostileKeyed = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(HostileKeyed)) orelse return null));
    self.* = .{
        .deed = ms.ms_config_text(config, "do"),
        .column = ms.ms_input(with, ms.ms_config_text(config, "column"), ms.MS_UTF8),
        .time = ms.ms_input(with, ms.ms_config_text(config, "time"), ms.MS_TIMESTAMP),
    };
    _ = ms.ms_output_field(with, ms.ms_text_of("n"), ms.MS_INT64, false);
    return self;
}

fn onRow(context: ?*anyopaque, key: ?*ms.ms_key, row: usize) callconv(.c) void {
    const self: *HostileKeyed = @ptrCast(@alignCast(context));
    const rows = ms.ms_key_rows(key);
    if (self.does("throw") and isBad(rows, row, self.column)) @panic("hostile-keyed: a bad row");
    const state = ms.ms_key_state(key);
    const before: u64 = if (state.data == null) 0 else @bitCast(state.data[0..8].*);
    const seen = before + 1;
    ms.ms_key_put(key, &seen, @sizeOf(u64));
    const builder = ms.ms_set(ms.ms_key_emit(key), 0);
    if (self.does("null")) {
        ms.ms_push_null(builder);
    } else {
        ms.ms_push_uint64(builder, if (self.does("overflow")) 1 << 63 else seen);
    }
    const time = &rows.*.columns[self.time];
    if (self.does("throw-timer") and !ms.ms_is_null(time, row)) ms.ms_key_timer(key, time.*.as.int64[row] +| 1000);
}

fn onTimer(_: ?*anyopaque, _: ?*ms.ms_key, _: i64) callconv(.c) void {
    @panic("hostile-keyed: its timer");
}
