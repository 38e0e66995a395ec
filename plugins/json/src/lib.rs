//! Operators on JSON text. Rows that are not what the config says are rejected, never guessed at.

use millstream_plugin::plugin;

mod cells;
mod pick;
mod pointers;

plugin! {
    summary: "Takes typed columns out of JSON text.",
    operators: [transform "pick" => pick::pick],
}
