//! `currency`: a column times a rate, beside all that came in.
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "column", .type = ms.MS_STRING, .about = "The float64 column." },
    .{ .name = "rate", .type = ms.MS_NUMBER, .about = "What each value is multiplied by." },
    .{ .name = "output", .type = ms.MS_STRING, .about = "The name of the new column.", .optional = true, .fallback = "\"converted\"" },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "currency",
    .kind = ms.MS_TRANSFORM,
    .summary = "Converts a price into another currency.",
    .settings = &settings,
    .open = open,
    .process = process,
};

const Currency = struct { column: usize, output: usize, rate: f64 };

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *Currency = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(Currency)) orelse return null));
    self.column = ms.ms_input(with, ms.ms_config_text(config, "column"), ms.MS_FLOAT64);
    self.rate = ms.ms_config_number(config, "rate");
    ms.ms_output_input(with);
    self.output = ms.ms_output_field(with, ms.ms_config_text(config, "output"), ms.MS_FLOAT64, true);
    return self;
}

fn process(context: ?*anyopaque, batch: [*c]const ms.ms_batch, output: ?*ms.ms_output) callconv(.c) void {
    const self: *Currency = @ptrCast(@alignCast(context));
    const column = &batch.*.columns[self.column];
    const builder = ms.ms_set(output, self.output);
    const room = ms.ms_fill_float64(builder, batch.*.rows);
    if (room == null) return;
    const converted = room[0..batch.*.rows];
    for (converted, column.*.as.float64[0..batch.*.rows]) |*to, price| to.* = price * self.rate;
    ms.ms_share_nulls(builder, column);
    ms.ms_keep(output);
}
