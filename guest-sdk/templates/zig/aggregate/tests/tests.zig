//! `make test` runs them natively.
const std = @import("std");
const ms = @import("ms");

comptime {
    // The plugin that the kit looks for.
    _ = @import("plugin");
}

test "shares are by group, and null where there is no value" {
    const rows =
        \\{"shop":"a","late":true}
        \\{"shop":"b","late":null}
        \\{"shop":"a","late":false}
    ;
    const ran = ms.ms_test_aggregate("share", "{\"column\":\"late\"}", "shop utf8, late boolean?", rows, "shop");
    try std.testing.expect(ran.@"error" == null);
    try std.testing.expectEqualStrings(
        \\{"share":0.5}
        \\{"share":null}
        \\
    , std.mem.span(ran.rows));
}
