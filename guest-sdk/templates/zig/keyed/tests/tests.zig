//! `make test` runs them natively.
const std = @import("std");
const ms = @import("ms");

comptime {
    // The plugin that the kit looks for.
    _ = @import("plugin");
}

test "keys are told once they have been silent, and forgotten" {
    const opened = ms.ms_test_keyed("silent", "{\"time\":\"at\",\"after_ms\":1}", "user utf8, at timestamp", "user");
    try std.testing.expect(opened.@"error" == null);
    const rows =
        \\{"user":"ann","at":0}
        \\{"user":"bob","at":100}
        \\{"user":"ann","at":500}
    ;
    try std.testing.expectEqualStrings("", std.mem.span(ms.ms_test_turn(0, rows).rows));
    try std.testing.expectEqualStrings("{\"user\":\"bob\",\"since\":100}\n", std.mem.span(ms.ms_test_turn(1200, "").rows));
    try std.testing.expectEqualStrings("{\"user\":\"ann\",\"since\":500}\n", std.mem.span(ms.ms_test_turn(1500, "").rows));
    try std.testing.expectEqual(0, ms.ms_test_states());
}
