//! `mean`: of a column of numbers. Its states have a fixed width and are changed in place.
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "column", .type = ms.MS_STRING, .about = "The int64 or float64 column; nulls do not count." },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "mean",
    .kind = ms.MS_AGGREGATE,
    .summary = "The mean of a column of numbers.",
    .settings = &settings,
    .open = open,
    .state_size = @sizeOf(State),
    .accumulate = accumulate,
    .merge = merge,
    .finish = finish,
};

const State = extern struct { sum: f64, count: i64 };

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const name = ms.ms_config_text(with.*.config, "column");
    const column: *usize = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(usize)) orelse return null));
    column.* = ms.ms_input_any(with, name);
    const whole = !ms.ms_failed() and with.*.input.fields[column.*].type == ms.MS_INT64;
    if (!whole) _ = ms.ms_input(with, name, ms.MS_FLOAT64);
    _ = ms.ms_output_field(with, ms.ms_text_of("mean"), ms.MS_FLOAT64, true);
    return column;
}

fn statesOf(of: ?*const ms.ms_states) []State {
    const all: [*]State = @ptrCast(@alignCast(ms.ms_states_fixed(of) orelse return &.{}));
    return all[0..ms.ms_states_count(of)];
}

fn accumulate(self: ?*anyopaque, of: ?*ms.ms_states, groups: [*c]const u32, batch: [*c]const ms.ms_batch) callconv(.c) void {
    const place: *usize = @ptrCast(@alignCast(self));
    const column = &batch.*.columns[place.*];
    const states = statesOf(of);
    if (ms.ms_failed()) return;
    const whole = column.*.field.*.type == ms.MS_INT64;
    for (0..batch.*.rows) |row| {
        if (ms.ms_is_null(column, row)) continue;
        const state = &states[groups[row]];
        state.sum += if (whole) @floatFromInt(column.*.as.int64[row]) else column.*.as.float64[row];
        state.count += 1;
    }
}

fn merge(_: ?*anyopaque, of: ?*ms.ms_states, others: ?*const ms.ms_states) callconv(.c) void {
    const states = statesOf(of);
    const more = statesOf(others);
    if (ms.ms_failed()) return;
    for (states, more) |*state, other| {
        state.sum += other.sum;
        state.count += other.count;
    }
}

fn finish(_: ?*anyopaque, of: ?*const ms.ms_states, output: ?*ms.ms_output) callconv(.c) void {
    const builder = ms.ms_set(output, 0);
    for (statesOf(of)) |state| {
        if (state.count == 0) {
            ms.ms_push_null(builder);
        } else {
            ms.ms_push_float64(builder, state.sum / @as(f64, @floatFromInt(state.count)));
        }
    }
}
