//! The example operators in Rust: the same in every language, and held to the same cases. One file each.

use millstream_plugin::plugin;

mod currency;
mod hostile;
mod hostile_keyed;
mod hostile_sum;
mod json_pick;
mod mean;
mod sessions;
mod split_words;

plugin! {
    summary: "The example operators, in Rust.",
    operators: [
        transform "split-words" => split_words::split_words,
        transform "currency" => currency::currency,
        transform "json-pick" => json_pick::json_pick,
        aggregate "mean" => mean::mean,
        keyed "sessions" => sessions::sessions,
        transform "hostile" => hostile::hostile,
        aggregate "hostile-sum" => hostile_sum::hostile_sum,
        keyed "hostile-keyed" => hostile_keyed::hostile_keyed,
    ],
}
