//! Operators on text columns: words, patterns, replacements. They are examples too: one file each.

use millstream_plugin::plugin;

mod extract;
mod replace;
mod split;

plugin! {
    summary: "Splits, matches and replaces text.",
    operators: [
        transform "split-words" => split::split_words,
        transform "regex-extract" => extract::regex_extract,
        transform "replace" => replace::replace,
    ],
}
