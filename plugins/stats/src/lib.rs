//! Means, frequent words, sessions: an aggregate over columns, one over rows, and state by key with
//! timers. They are examples too: one file each.

use millstream_plugin::plugin;

mod mean;
mod sessions;
mod top_words;

plugin! {
    summary: "Means, frequent words and sessions.",
    operators: [
        aggregate "mean" => mean::mean,
        aggregate "top-words" => top_words::top_words,
        keyed "sessions" => sessions::sessions,
    ],
}
