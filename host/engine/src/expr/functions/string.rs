//! Functions of text. Positions and lengths count characters, positions from 1.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BooleanArray};
use arrow_schema::{ArrowError, DataType};
use arrow_string::like;

use super::output::{Missing, Numbers, TEXT_BYTES_MAX, Texts, numbers, push, texts};
use super::{Built, Function, Nulls, Parameter};
use crate::expr::value::{Args, Faults, Value};

use Parameter::{Integer, Shown, Text, TextOrBytes};

pub(super) const TABLE: &[Function] = &[
    Function {
        name: "length",
        signature: "length(text_or_binary)",
        parameters: &[TextOrBytes],
        required: 1,
        repeats: false,
        build: |args| {
            Ok(match args[0].data_type {
                DataType::Binary => int64(byte_length),
                _ => int64(length),
            })
        },
    },
    Function {
        name: "octet_length",
        signature: "octet_length(text_or_binary)",
        parameters: &[TextOrBytes],
        required: 1,
        repeats: false,
        build: |_| Ok(int64(byte_length)),
    },
    Function {
        name: "lower",
        signature: "lower(text)",
        parameters: &[Text],
        required: 1,
        repeats: false,
        build: |_| Ok(utf8(lower)),
    },
    Function {
        name: "upper",
        signature: "upper(text)",
        parameters: &[Text],
        required: 1,
        repeats: false,
        build: |_| Ok(utf8(upper)),
    },
    Function {
        name: "trim",
        signature: "trim(text [, characters])",
        parameters: &[Text, Text],
        required: 1,
        repeats: false,
        build: |_| Ok(utf8(|a, f| trim(a, f, |t, set| t.trim_matches(set)))),
    },
    Function {
        name: "ltrim",
        signature: "ltrim(text [, characters])",
        parameters: &[Text, Text],
        required: 1,
        repeats: false,
        build: |_| Ok(utf8(|a, f| trim(a, f, |t, set| t.trim_start_matches(set)))),
    },
    Function {
        name: "rtrim",
        signature: "rtrim(text [, characters])",
        parameters: &[Text, Text],
        required: 1,
        repeats: false,
        build: |_| Ok(utf8(|a, f| trim(a, f, |t, set| t.trim_end_matches(set)))),
    },
    Function {
        name: "substr",
        signature: "substr(text, start [, length])",
        parameters: &[Text, Integer, Integer],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(substr)),
    },
    Function {
        name: "left",
        signature: "left(text, count)",
        parameters: &[Text, Integer],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(left)),
    },
    Function {
        name: "right",
        signature: "right(text, count)",
        parameters: &[Text, Integer],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(right)),
    },
    Function {
        name: "replace",
        signature: "replace(text, from, to)",
        parameters: &[Text, Text, Text],
        required: 3,
        repeats: false,
        build: |_| Ok(utf8(replace)),
    },
    Function {
        name: "||",
        signature: "text || text",
        parameters: &[Text, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(join)),
    },
    Function {
        name: "concat",
        signature: "concat(value, ...)",
        parameters: &[Shown],
        required: 1,
        repeats: true,
        build: |_| Ok(Built { nulls: Nulls::Never, ..utf8(concat) }),
    },
    Function {
        name: "starts_with",
        signature: "starts_with(text, prefix)",
        parameters: &[Text, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(test(|l, r| like::starts_with(l, r))),
    },
    Function {
        name: "ends_with",
        signature: "ends_with(text, suffix)",
        parameters: &[Text, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(test(|l, r| like::ends_with(l, r))),
    },
    Function {
        name: "contains",
        signature: "contains(text, part)",
        parameters: &[Text, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(test(|l, r| like::contains(l, r))),
    },
    Function {
        name: "strpos",
        signature: "strpos(text, part)",
        parameters: &[Text, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(int64(strpos)),
    },
    Function {
        name: "split_part",
        signature: "split_part(text, separator, number)",
        parameters: &[Text, Text, Integer],
        required: 3,
        repeats: false,
        build: |_| Ok(utf8(split_part)),
    },
    Function {
        name: "lpad",
        signature: "lpad(text, length [, fill])",
        parameters: &[Text, Integer, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(|a, f| pad(a, f, Side::Left))),
    },
    Function {
        name: "rpad",
        signature: "rpad(text, length [, fill])",
        parameters: &[Text, Integer, Text],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(|a, f| pad(a, f, Side::Right))),
    },
    Function {
        name: "reverse",
        signature: "reverse(text)",
        parameters: &[Text],
        required: 1,
        repeats: false,
        build: |_| Ok(utf8(reverse)),
    },
    Function {
        name: "repeat",
        signature: "repeat(text, count)",
        parameters: &[Text, Integer],
        required: 2,
        repeats: false,
        build: |_| Ok(utf8(repeat)),
    },
];

type Plain = fn(&Args<'_>, &mut Faults) -> Result<ArrayRef, ArrowError>;

fn utf8(kernel: Plain) -> Built {
    Built::new(DataType::Utf8, Arc::new(kernel))
}

fn int64(kernel: Plain) -> Built {
    Built::new(DataType::Int64, Arc::new(kernel))
}

fn test(kernel: fn(&Value, &Value) -> Result<BooleanArray, ArrowError>) -> Built {
    let kernel = move |args: &Args<'_>, _: &mut Faults| -> Result<ArrayRef, ArrowError> {
        Ok(Arc::new(kernel(&args.values[0], &args.values[1])?))
    };
    Built::new(DataType::Boolean, Arc::new(kernel))
}

fn byte_length(args: &Args<'_>, _: &mut Faults) -> Result<ArrayRef, ArrowError> {
    arrow_cast::cast(&arrow_string::length::length(args.values[0].array())?, &DataType::Int64)
}

fn length(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    if args.values[0].array().as_string::<i32>().is_ascii() {
        return byte_length(args, faults);
    }
    let text = Texts::new(args, 0);
    Ok(Arc::new(numbers::<Int64Type>(args, faults, |row| Ok(count(text.at(row).chars().count())))))
}

/// Lengths of texts in memory fit.
fn count(chars: usize) -> i64 {
    i64::try_from(chars).unwrap_or(i64::MAX)
}

/// One text argument in, one text out.
fn map(
    args: &Args<'_>,
    faults: &mut Faults,
    mut write: impl FnMut(&str, &mut String, usize) -> Result<(), Missing>,
) -> Result<ArrayRef, ArrowError> {
    let text = Texts::new(args, 0);
    let nulls = args.nulls();
    texts(args, nulls.as_ref(), faults, text.bytes(args.rows), |row, out| write(text.at(row), out, row))
}

fn lower(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    map(args, faults, |text, out, _| {
        recase(text, out, str::make_ascii_lowercase, str::to_lowercase);
        Ok(())
    })
}

fn upper(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    map(args, faults, |text, out, _| {
        recase(text, out, str::make_ascii_uppercase, str::to_uppercase);
        Ok(())
    })
}

fn recase(text: &str, out: &mut String, ascii: fn(&mut str), other: fn(&str) -> String) {
    if text.is_ascii() {
        let start = out.len();
        out.push_str(text);
        ascii(&mut out[start..]);
    } else {
        out.push_str(&other(text));
    }
}

fn trim(
    args: &Args<'_>,
    faults: &mut Faults,
    cut: for<'t> fn(&'t str, &dyn Fn(char) -> bool) -> &'t str,
) -> Result<ArrayRef, ArrowError> {
    if args.values.len() == 1 {
        return map(args, faults, |text, out, _| {
            out.push_str(cut(text, &char::is_whitespace));
            Ok(())
        });
    }
    let set = Texts::new(args, 1);
    map(args, faults, |text, out, row| {
        let set = set.at(row);
        out.push_str(cut(text, &|char| set.contains(char)));
        Ok(())
    })
}

/// The byte at which character `n` begins, from 0; the end when there are fewer.
fn byte_of(text: &str, n: u64) -> usize {
    let Ok(n) = usize::try_from(n) else { return text.len() };
    if n >= text.len() {
        return text.len();
    }
    text.char_indices().nth(n).map_or(text.len(), |(byte, _)| byte)
}

fn substr(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let start = Numbers::<Int64Type>::new(args, 1);
    let length = (args.values.len() == 3).then(|| Numbers::<Int64Type>::new(args, 2));
    map(args, faults, |text, out, row| {
        let start = start.at(row);
        let end = match &length {
            Some(length) => match length.at(row) {
                length if length < 0 => return Err(Missing::fault("a length cannot be negative")),
                length => start.saturating_add(length),
            },
            None => i64::MAX,
        };
        // As in SQL: positions before the text count, but nothing is there.
        let skipped = u64::try_from(start.saturating_sub(1)).unwrap_or(0);
        let taken = u64::try_from(end.saturating_sub(start.max(1))).unwrap_or(0);
        let rest = &text[byte_of(text, skipped)..];
        out.push_str(&rest[..byte_of(rest, taken)]);
        Ok(())
    })
}

/// The first characters, or all but the last ones when the count is negative.
fn left(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let wanted = Numbers::<Int64Type>::new(args, 1);
    map(args, faults, |text, out, row| {
        let wanted = wanted.at(row);
        let chars = if wanted < 0 { but(text, wanted) } else { wanted.unsigned_abs() };
        out.push_str(&text[..byte_of(text, chars)]);
        Ok(())
    })
}

/// The last characters, or all but the first ones when the count is negative.
fn right(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let wanted = Numbers::<Int64Type>::new(args, 1);
    map(args, faults, |text, out, row| {
        let wanted = wanted.at(row);
        let chars = if wanted < 0 { wanted.unsigned_abs() } else { but(text, wanted) };
        out.push_str(&text[byte_of(text, chars)..]);
        Ok(())
    })
}

/// Characters of the text but so many.
fn but(text: &str, left_out: i64) -> u64 {
    (text.chars().count() as u64).saturating_sub(left_out.unsigned_abs())
}

fn replace(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let (from, to) = (Texts::new(args, 1), Texts::new(args, 2));
    map(args, faults, |text, out, row| {
        let (from, to) = (from.at(row), to.at(row));
        if from.is_empty() {
            out.push_str(text);
            return Ok(());
        }
        let start = out.len();
        let mut done = 0;
        for (at, found) in text.match_indices(from) {
            push(out, start, &text[done..at])?;
            push(out, start, to)?;
            done = at + found.len();
        }
        push(out, start, &text[done..])
    })
}

fn join(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let right = Texts::new(args, 1);
    map(args, faults, |text, out, row| {
        out.push_str(text);
        out.push_str(right.at(row));
        Ok(())
    })
}

/// NULLs are left out.
fn concat(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let parts: Vec<Texts<'_>> = (0..args.values.len()).map(|i| Texts::new(args, i)).collect();
    let bytes = parts.iter().map(|part| part.bytes(args.rows)).sum();
    texts(args, None, faults, bytes, |row, out| {
        let start = out.len();
        parts.iter().filter(|part| !part.is_null(row)).try_for_each(|part| push(out, start, part.at(row)))
    })
}

fn strpos(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let (text, part) = (Texts::new(args, 0), Texts::new(args, 1));
    Ok(Arc::new(numbers::<Int64Type>(args, faults, |row| {
        let text = text.at(row);
        Ok(text.find(part.at(row)).map_or(0, |byte| count(text[..byte].chars().count()) + 1))
    })))
}

/// Part `number` from 1, or from the end when negative; the empty text when there are fewer.
fn split_part(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let (separator, number) = (Texts::new(args, 1), Numbers::<Int64Type>::new(args, 2));
    map(args, faults, |text, out, row| {
        let number = number.at(row);
        let separator = separator.at(row);
        let nth = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
        let part = match (nth.checked_sub(1), separator.is_empty()) {
            (None, _) => return Err(Missing::fault("split_part counts parts from 1, there is no part 0")),
            (Some(0), true) => Some(text),
            (Some(_), true) => None,
            (Some(nth), false) if number > 0 => text.split(separator).nth(nth),
            (Some(nth), false) => text.rsplit(separator).nth(nth),
        };
        out.push_str(part.unwrap_or_default());
        Ok(())
    })
}

#[derive(Clone, Copy)]
enum Side {
    Left,
    Right,
}

/// Fills up to a length, or cuts to it.
fn pad(args: &Args<'_>, faults: &mut Faults, side: Side) -> Result<ArrayRef, ArrowError> {
    let length = Numbers::<Int64Type>::new(args, 1);
    let fill = (args.values.len() == 3).then(|| Texts::new(args, 2));
    map(args, faults, |text, out, row| {
        let wanted = usize::try_from(length.at(row).max(0)).unwrap_or(usize::MAX);
        let fill = fill.as_ref().map_or(" ", |fill| fill.at(row));
        let missing = wanted.saturating_sub(text.chars().count());
        if missing > TEXT_BYTES_MAX {
            return Err(Missing::TOO_LONG);
        }
        let padding = fill.chars().cycle().take(missing);
        match side {
            _ if missing == 0 => out.push_str(&text[..byte_of(text, wanted as u64)]),
            Side::Left => {
                out.extend(padding);
                out.push_str(text);
            }
            Side::Right => {
                out.push_str(text);
                out.extend(padding);
            }
        }
        Ok(())
    })
}

fn reverse(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    map(args, faults, |text, out, _| {
        out.extend(text.chars().rev());
        Ok(())
    })
}

fn repeat(args: &Args<'_>, faults: &mut Faults) -> Result<ArrayRef, ArrowError> {
    let times = Numbers::<Int64Type>::new(args, 1);
    map(args, faults, |text, out, row| {
        let times = usize::try_from(times.at(row).max(0)).unwrap_or(usize::MAX);
        if times.saturating_mul(text.len()) > TEXT_BYTES_MAX {
            return Err(Missing::TOO_LONG);
        }
        if !text.is_empty() {
            (0..times).for_each(|_| out.push_str(text));
        }
        Ok(())
    })
}
