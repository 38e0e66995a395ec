//! The root of a plugin in Zig, which is the module `plugin`. It is here for panics: the standard library's own would
//! end in a trap, this one in the kit's `ms_abort`, which says on stderr whose operator it was.
const std = @import("std");
const plugin = @import("plugin");

pub const std_options: std.Options = if (@hasDecl(plugin, "std_options")) plugin.std_options else .{};
pub const panic = if (@hasDecl(plugin, "panic")) plugin.panic else std.debug.FullPanic(say);

extern fn ms_abort() noreturn;

fn say(message: []const u8, _: ?usize) noreturn {
    std.debug.print("panic: {s}\n", .{message});
    ms_abort();
}

comptime {
    // Its exports are the component's.
    _ = plugin;
}
