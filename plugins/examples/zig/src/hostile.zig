//! `hostile`: all that an operator can do wrong, for tests of the host and of the kit.
const ms = @import("ms");

const deeds = [_][*c]const u8{ "nothing", "throw", "spin", "grow", "uneven", "null", "overflow", "wrong-type", null };

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

const Hostile = struct { deed: ms.ms_text, column: usize };

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *Hostile = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(Hostile)) orelse return null));
    self.* = .{
        .deed = ms.ms_config_text(config, "do"),
        .column = ms.ms_input(with, ms.ms_config_text(config, "column"), ms.MS_UTF8),
    };
    if (ms.ms_text_is(self.deed, "null")) {
        _ = ms.ms_output_field(with, ms.ms_text_of("out"), ms.MS_UTF8, false);
    } else if (ms.ms_text_is(self.deed, "overflow") or ms.ms_text_is(self.deed, "wrong-type")) {
        _ = ms.ms_output_field(with, ms.ms_text_of("out"), ms.MS_INT64, true);
    } else {
        ms.ms_output_input(with);
    }
    return self;
}

fn process(context: ?*anyopaque, batch: [*c]const ms.ms_batch, output: ?*ms.ms_output) callconv(.c) void {
    const self: *Hostile = @ptrCast(@alignCast(context));
    if (ms.ms_text_is(self.deed, "null")) return ms.ms_push_null(ms.ms_set(output, 0));
    if (ms.ms_text_is(self.deed, "overflow")) return ms.ms_push_uint64(ms.ms_set(output, 0), 1 << 63);
    if (ms.ms_text_is(self.deed, "wrong-type")) return ms.ms_push_text(ms.ms_set(output, 0), "text", 4);
    if (ms.ms_text_is(self.deed, "spin")) while (true) asm volatile ("");
    if (ms.ms_text_is(self.deed, "grow")) return grow();
    if (ms.ms_text_is(self.deed, "throw")) throwAtBad(&batch.*.columns[self.column]);
    if (ms.ms_text_is(self.deed, "uneven")) {
        const builder = ms.ms_set(output, self.column);
        for (1..batch.*.rows) |_| ms.ms_push_text(builder, "short", 5);
    }
    ms.ms_keep(output);
}

fn throwAtBad(column: [*c]const ms.ms_column) void {
    for (0..column.*.rows) |row| {
        if (!ms.ms_is_null(column, row) and ms.ms_text_is(ms.ms_get_text(column, row), "bad")) @panic("hostile: a bad row");
    }
}

/// Takes memory of the kit until there is no more, which is a failure of the call.
fn grow() void {
    while (ms.ms_alloc(1 << 20)) |memory| @as(*volatile u8, @ptrCast(memory)).* = 1;
}
