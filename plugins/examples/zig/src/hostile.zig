//! `hostile`: all that an operator can do wrong, for tests of the host and of the kit.
const std = @import("std");
const ms = @import("ms");

const deeds = [_][*c]const u8{
    "nothing", "throw",    "spin",       "grow", "recurse", "fatal", "uneven",
    "null",    "overflow", "wrong-type", "tell", null,
};

const settings = [_]ms.ms_setting{
    .{ .name = "do", .type = ms.MS_STRING, .about = "What it does.", .choices = &deeds },
    .{ .name = "column", .type = ms.MS_STRING, .about = "The text column; `throw` waits for `bad` in it." },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "hostile",
    .kind = ms.MS_TRANSFORM,
    .summary = "Does wrong what an operator can do wrong.",
    .settings = &settings,
    .open = open,
    .process = process,
};

const Hostile = struct {
    deed: ms.ms_text,
    column: usize,

    fn does(self: *const Hostile, deed: [*c]const u8) bool {
        return ms.ms_text_is(self.deed, deed);
    }
};

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *Hostile = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(Hostile)) orelse return null));
    self.* = .{
        .deed = ms.ms_config_text(config, "do"),
        .column = ms.ms_input(with, ms.ms_config_text(config, "column"), ms.MS_UTF8),
    };
    if (self.does("null")) {
        _ = ms.ms_output_field(with, ms.ms_text_of("out"), ms.MS_UTF8, false);
    } else if (self.does("overflow") or self.does("wrong-type")) {
        _ = ms.ms_output_field(with, ms.ms_text_of("out"), ms.MS_INT64, true);
    } else {
        ms.ms_output_input(with);
    }
    return self;
}

fn process(context: ?*anyopaque, batch: [*c]const ms.ms_batch, output: ?*ms.ms_output) callconv(.c) void {
    const self: *Hostile = @ptrCast(@alignCast(context));
    const rows = batch.*.rows;
    if (self.does("null") or self.does("overflow") or self.does("wrong-type")) {
        return wrongColumn(self, rows, ms.ms_set(output, 0));
    }
    if (self.does("spin")) while (true) asm volatile ("");
    if (self.does("grow")) grow();
    if (self.does("recurse")) _ = recurse();
    if (self.does("fatal")) fatal();
    if (self.does("tell")) tell(rows);
    if (self.does("uneven")) {
        const builder = ms.ms_set(output, self.column);
        for (1..@max(rows, 1)) |_| ms.ms_push_text(builder, "short", 5);
    }
    for (0..if (self.does("throw")) rows else 0) |row| {
        if (isBad(batch, row, self.column)) @panic("hostile: a bad row");
    }
    ms.ms_keep(output);
}

/// Whether the text of a row is `bad`. It reads by the column's name, so that the kit can say the place if what comes
/// of it is a panic.
pub fn isBad(batch: [*c]const ms.ms_batch, row: usize, column: usize) bool {
    var text: ms.ms_text = undefined;
    const name = batch.*.schema.*.fields[column].name.data;
    return ms.ms_row_text(batch, row, name, &text) and ms.ms_text_is(text, "bad");
}

/// What is wrong is at the last row.
fn wrongColumn(self: *const Hostile, rows: usize, builder: [*c]ms.ms_builder) void {
    for (0..rows) |row| {
        const last = row + 1 == rows;
        if (self.does("overflow")) {
            ms.ms_push_uint64(builder, if (last) 1 << 63 else row);
        } else if (last and self.does("null")) {
            ms.ms_push_null(builder);
        } else {
            ms.ms_push_text(builder, "text", 4);
        }
    }
}

/// Takes memory of the kit until there is no more, which is a failure of the call.
fn grow() void {
    while (ms.ms_alloc(1 << 20)) |memory| @as(*volatile u8, @ptrCast(memory)).* = 1;
}

var depth: usize = 0;

/// Volatile, so that no compiler knows that there is no end, and there is something to do after each call.
fn recurse() usize {
    const at: *volatile usize = &depth;
    at.* += 1;
    if (at.* == std.math.maxInt(usize)) return 0;
    return @call(.never_inline, recurse, .{}) +% at.*;
}

fn fatal() noreturn {
    std.debug.print("the end\n", .{});
    std.c.abort();
}

fn tell(rows: usize) void {
    ms.ms_log(ms.MS_INFO, "%zu rows", rows);
    ms.ms_count("told", rows);
    ms.ms_observe("share", 0.5);
}
