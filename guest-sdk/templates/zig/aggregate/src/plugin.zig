//! The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and adds
//! up the parts of its workers with `merge`.
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "column", .type = ms.MS_STRING, .about = "The boolean column; nulls do not count." },
    .{},
};

/// How many are true, and how many there are: all zero for a group without rows.
const State = extern struct { yes: i64, all: i64 };

fn statesOf(of: ?*const ms.ms_states) []State {
    const all: [*]State = @ptrCast(@alignCast(ms.ms_states_fixed(of) orelse return &.{}));
    return all[0..ms.ms_states_count(of)];
}

/// Called once for each instance.
fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const column: *usize = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(usize)) orelse return null));
    column.* = ms.ms_input(with, ms.ms_config_text(with.*.config, "column"), ms.MS_BOOLEAN);
    _ = ms.ms_output_field(with, ms.ms_text_of("share"), ms.MS_FLOAT64, true);
    return column;
}

fn accumulate(self: ?*anyopaque, of: ?*ms.ms_states, groups: [*c]const u32, batch: [*c]const ms.ms_batch) callconv(.c) void {
    const place: *usize = @ptrCast(@alignCast(self));
    const column = &batch.*.columns[place.*];
    const states = statesOf(of);
    if (ms.ms_failed()) return;
    for (0..batch.*.rows) |row| {
        if (ms.ms_is_null(column, row)) continue;
        const state = &states[groups[row]];
        state.yes += @intFromBool(ms.ms_get_boolean(column, row));
        state.all += 1;
    }
}

fn merge(_: ?*anyopaque, of: ?*ms.ms_states, others: ?*const ms.ms_states) callconv(.c) void {
    const states = statesOf(of);
    const more = statesOf(others);
    if (ms.ms_failed()) return;
    for (states, more) |*state, other| {
        state.yes += other.yes;
        state.all += other.all;
    }
}

fn finish(_: ?*anyopaque, of: ?*const ms.ms_states, output: ?*ms.ms_output) callconv(.c) void {
    const builder = ms.ms_set(output, 0);
    for (statesOf(of)) |state| {
        if (state.all == 0) {
            ms.ms_push_null(builder);
        } else {
            ms.ms_push_float64(builder, @as(f64, @floatFromInt(state.yes)) / @as(f64, @floatFromInt(state.all)));
        }
    }
}

const share: ms.ms_operator = .{
    .name = "share",
    .kind = ms.MS_AGGREGATE,
    .summary = "The share of rows in which a column is true.",
    .settings = &settings,
    .open = open,
    .state_size = @sizeOf(State),
    .accumulate = accumulate,
    .merge = merge,
    .finish = finish,
};

const operators = [_][*c]const ms.ms_operator{&share};

export const millstream_plugin: ms.ms_plugin = .{
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Shares.",
    .operators = &operators,
    .operator_count = operators.len,
};
