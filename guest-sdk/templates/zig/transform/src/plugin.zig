//! Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows around it
//! go on.
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "column", .type = ms.MS_STRING, .about = "The float64 column of prices." },
    .{ .name = "rate", .type = ms.MS_NUMBER, .about = "What one of them is worth." },
    .{},
};

const Convert = struct { column: usize, converted: usize, rate: f64 };

/// Called once for each instance: finds the input's columns and says what comes out.
fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const config = with.*.config;
    const self: *Convert = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(Convert)) orelse return null));
    self.column = ms.ms_input(with, ms.ms_config_text(config, "column"), ms.MS_FLOAT64);
    self.rate = ms.ms_config_number(config, "rate");
    ms.ms_output_input(with);
    self.converted = ms.ms_output_field(with, ms.ms_text_of("converted"), ms.MS_FLOAT64, true);
    return self;
}

/// Called for each batch.
fn process(context: ?*anyopaque, batch: [*c]const ms.ms_batch, output: ?*ms.ms_output) callconv(.c) void {
    const self: *Convert = @ptrCast(@alignCast(context));
    const prices = &batch.*.columns[self.column];
    const converted = ms.ms_set(output, self.converted);
    for (0..batch.*.rows) |row| {
        const price = prices.*.as.float64[row];
        if (ms.ms_is_null(prices, row)) {
            ms.ms_push_null(converted);
        } else if (price < 0) {
            ms.ms_reject(output, row, "the price is %g", price);
        } else {
            ms.ms_push_float64(converted, price * self.rate);
        }
    }
    ms.ms_keep(output);
}

const convert: ms.ms_operator = .{
    .name = "convert",
    .kind = ms.MS_TRANSFORM,
    .summary = "Adds converted prices.",
    .settings = &settings,
    .open = open,
    .process = process,
};

const operators = [_][*c]const ms.ms_operator{&convert};

export const millstream_plugin: ms.ms_plugin = .{
    .name = "{{name}}",
    .version = "0.1.0",
    .summary = "Prices.",
    .operators = &operators,
    .operator_count = operators.len,
};
