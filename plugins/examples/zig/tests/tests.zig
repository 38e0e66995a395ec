//! The example operators, run natively: `make test`.
const std = @import("std");

comptime {
    // The plugin that the kit looks for.
    _ = @import("plugin");
}

extern fn tests_of_c() c_int;

test "the operators do what those in C do" {
    try std.testing.expectEqual(0, tests_of_c());
}
