//! `split-words`: a row a word. The scan looks at 16 bytes at a time; words are copied once.
const ms = @import("ms");

const settings = [_]ms.ms_setting{
    .{ .name = "column", .type = ms.MS_STRING, .about = "The text column." },
    .{ .name = "output", .type = ms.MS_STRING, .about = "The name of the output column.", .optional = true, .fallback = "\"word\"" },
    .{},
};

pub const operator: ms.ms_operator = .{
    .name = "split-words",
    .kind = ms.MS_TRANSFORM,
    .summary = "Splits text at spaces: one row a word.",
    .settings = &settings,
    .open = open,
    .process = process,
};

fn open(with: [*c]ms.ms_open) callconv(.c) ?*anyopaque {
    const column: *usize = @ptrCast(@alignCast(ms.ms_alloc(@sizeOf(usize)) orelse return null));
    column.* = ms.ms_input(with, ms.ms_config_text(with.*.config, "column"), ms.MS_UTF8);
    _ = ms.ms_output_field(with, ms.ms_config_text(with.*.config, "output"), ms.MS_UTF8, false);
    return column;
}

const block = 16;
const Block = @Vector(block, u8);

/// The output column while it grows, in registers.
const Words = struct {
    values: [*]u8,
    offsets: [*]u32,
    rows: usize = 0,
    used: usize = 0,

    /// Adds the bytes between two places; sixteen can be read there unless the text ends before.
    inline fn push(words: *Words, text: []const u8, start: usize, end: usize) void {
        const len = end - start;
        if (len <= block and start + block <= text.len) {
            words.values[words.used..][0..block].* = text[start..][0..block].*;
        } else {
            @memcpy(words.values[words.used..][0..len], text[start..end]);
        }
        words.used += len;
        words.rows += 1;
        words.offsets[words.rows] = @intCast(words.used);
    }

    inline fn split(words: *Words, text: []const u8, start: usize, end: usize) void {
        var word = start;
        var at = start;
        while (at < end) : (at += block) {
            var last: [block]u8 = @splat(0);
            if (at + block > text.len) @memcpy(last[0 .. text.len - at], text[at..]);
            const bytes: Block = if (at + block <= text.len) text[at..][0..block].* else last;
            var found: u16 = @bitCast(bytes == @as(Block, @splat(' ')));
            while (found != 0) : (found &= found - 1) {
                const space = at + @ctz(found);
                if (space >= end) break;
                if (space > word) words.push(text, word, space);
                word = space + 1;
            }
        }
        if (end > word) words.push(text, word, end);
    }
};

fn process(self: ?*anyopaque, batch: [*c]const ms.ms_batch, output: ?*ms.ms_output) callconv(.c) void {
    const place: *usize = @ptrCast(@alignCast(self));
    const column = &batch.*.columns[place.*];
    const rows = batch.*.rows;
    const bytes: usize = if (rows == 0) 0 else column.*.offsets[rows];
    const builder = ms.ms_set(output, 0);
    // Words and spaces take turns: there are no more words than this.
    if (!ms.ms_reserve_text(builder, bytes / 2 + rows, bytes)) return;
    var words: Words = .{ .values = builder.*.values, .offsets = builder.*.offsets };
    const text = column.*.as.bytes[0..bytes];
    for (0..rows) |row| {
        if (!ms.ms_is_null(column, row)) words.split(text, column.*.offsets[row], column.*.offsets[row + 1]);
    }
    builder.*.rows = words.rows;
    builder.*.used = words.used;
}
