//! The example operators in Zig, over the C kit as `zig translate-c` reads it. One of them is C: a plugin may
//! have operators of both.
const ms = @import("ms");

const operators = [_][*c]const ms.ms_operator{
    &@import("split_words.zig").operator,
    &@import("currency.zig").operator,
    &json_pick,
    &@import("mean.zig").operator,
    &@import("sessions.zig").operator,
    &@import("hostile.zig").operator,
    &@import("hostile_sum.zig").operator,
    &@import("hostile_keyed.zig").operator,
};

extern const json_pick: ms.ms_operator;

export const millstream_plugin: ms.ms_plugin = .{
    .name = "examples-zig",
    .version = "0.1.0",
    .summary = "The example operators, in Zig.",
    .operators = &operators,
    .operator_count = operators.len,
};
