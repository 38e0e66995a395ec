//! `hostile-sum`: what an aggregate can do wrong, for tests of host and kit. Its state is the number of rows.
const ms = @import("ms");
const isBad = @import("hostile.zig").isBad;

const deeds = [_][*c]const u8{ "nothing", "throw", "throw-merge", "throw-finish", "null", "overflow", null };

const settings = [_]ms.ms_setting{
    .{ .name = "do", .type = ms.MS_STRING, .about = "What it does.", .choices = &deeds },
    .{ .name = "column", .type = ms.MS_STRING, .about = "The text column; `throw` waits for `bad` in it." },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "hostile-sum",
    .kind = ms.MS_AGGREGATE,
    .summary = "Does wrong what an aggregate can do wrong.",
    .settings = &settings,
    .open = open,
    .state_size = @sizeOf(u64),
    .accumulate = accumulate,
    .merge = merge,
    .finish = finish,
};

const HostileSum = struct {
    deed: ms.ms_text,
    column: usize,

    fn does(self: *const HostileSum, deed: [*c]const u8) bool {
        return ms.ms_text_is(self.deed, deed);
    }
};

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *HostileSum = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(HostileSum)) orelse return null));
    self.* = .{
        .deed = ms.ms_config_text(config, "do"),
        .column = ms.ms_input(with, ms.ms_config_text(config, "column"), ms.MS_UTF8),
    };
    _ = ms.ms_output_field(with, ms.ms_text_of("n"), ms.MS_INT64, false);
    return self;
}

fn statesOf(of: ?*const ms.ms_states) []u64 {
    const all: [*]u64 = @ptrCast(@alignCast(ms.ms_states_fixed(of) orelse return &.{}));
    return all[0..ms.ms_states_count(of)];
}

fn accumulate(context: ?*anyopaque, of: ?*ms.ms_states, groups: [*c]const u32, batch: [*c]const ms.ms_batch) callconv(.c) void {
    const self: *HostileSum = @ptrCast(@alignCast(context));
    const states = statesOf(of);
    if (ms.ms_failed()) return;
    for (0..batch.*.rows) |row| {
        if (self.does("throw") and isBad(batch, row, self.column)) @panic("hostile-sum: a bad row");
        states[groups[row]] += 1;
    }
}

fn merge(context: ?*anyopaque, of: ?*ms.ms_states, others: ?*const ms.ms_states) callconv(.c) void {
    const self: *HostileSum = @ptrCast(@alignCast(context));
    const states = statesOf(of);
    const more = statesOf(others);
    if (self.does("throw-merge")) @panic("hostile-sum: it does not merge");
    if (ms.ms_failed()) return;
    for (states, more) |*state, other| state.* += other;
}

fn finish(context: ?*anyopaque, of: ?*const ms.ms_states, output: ?*ms.ms_output) callconv(.c) void {
    const self: *HostileSum = @ptrCast(@alignCast(context));
    if (self.does("throw-finish")) @panic("hostile-sum: it does not finish");
    for (statesOf(of)) |count| {
        const builder = ms.ms_set(output, 0);
        if (self.does("null")) {
            ms.ms_push_null(builder);
        } else {
            ms.ms_push_uint64(builder, if (self.does("overflow")) 1 << 63 else count);
        }
    }
}
