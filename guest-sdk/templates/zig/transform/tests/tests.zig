//! `make test` runs them natively.
const std = @import("std");
const ms = @import("ms");

comptime {
    // The plugin that the kit looks for.
    _ = @import("plugin");
}

test "prices are converted, and those below zero handed back" {
    const rows =
        \\{"price":2}
        \\{"price":-1}
        \\{"price":null}
    ;
    const ran = ms.ms_test_transform("convert", "{\"column\":\"price\",\"rate\":3}", "price float64?", rows);
    try std.testing.expect(ran.@"error" == null);
    try std.testing.expectEqualStrings(
        \\{"price":2,"converted":6}
        \\{"price":null,"converted":null}
        \\
    , std.mem.span(ran.rows));
    try std.testing.expectEqualStrings("1: the price is -1\n", std.mem.span(ran.rejected));
}
