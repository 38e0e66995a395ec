//! Where the contract's types meet arrow's: schemas, batches on their way in (`lower`) and out
//! (`lift`). Nothing that a guest returns is believed here.

mod lift;
mod lower;
mod types;

#[cfg(test)]
mod tests;

pub(crate) use lift::{lift, rejections, states, timers};
pub(crate) use lower::{Lowered, LoweredStates};
pub(crate) use types::{fields, formats, schema};

/// The text, cut to at most so many bytes without cutting a character.
pub(crate) fn cut(text: &str, bytes_max: usize) -> &str {
    if text.len() <= bytes_max {
        return text;
    }
    let end = (0..=bytes_max).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}
