//! Regular expressions, compiled once at deployment; their syntax is that of Rust's `regex`.

use std::sync::Arc;

use arrow_schema::DataType;
use regex::Regex;

use super::output::{Missing, TEXT_BYTES_MAX, Texts, push, texts};
use super::{Argument, Built, Function, Nulls, Parameter};
use crate::expr::kernels::pattern;

use Parameter::{Literal, Text};

pub(super) const TABLE: &[Function] = &[
    Function {
        name: "regexp_like",
        signature: "regexp_like(text, 'pattern')",
        parameters: &[Text, Literal],
        required: 2,
        repeats: false,
        build: |args| Ok(Built::new(DataType::Boolean, pattern::matches(compile(&args[1])?))),
    },
    Function {
        name: "regexp_replace",
        signature: "regexp_replace(text, 'pattern', 'replacement'), where $1 is the first group",
        parameters: &[Text, Literal, Literal],
        required: 3,
        repeats: false,
        build: |args| replace(compile(&args[1])?, args[2].text()),
    },
    Function {
        name: "regexp_extract",
        signature: "regexp_extract(text, 'pattern'): the first group, or all of the match without groups",
        parameters: &[Text, Literal],
        required: 2,
        repeats: false,
        build: |args| Ok(extract(compile(&args[1])?)),
    },
];

fn compile(argument: &Argument<'_>) -> Result<Regex, String> {
    pattern::regex(argument.text(), false)
}

/// All matches are replaced.
fn replace(regex: Regex, replacement: &str) -> Result<Built, String> {
    /// Each reference can bring in the whole text.
    const REFERENCES_MAX: usize = 32;
    if replacement.matches('$').count() > REFERENCES_MAX {
        return Err(format!("a replacement has at most {REFERENCES_MAX} references"));
    }
    let replacement: Box<str> = replacement.into();
    // Without references, nothing needs to be captured, and nothing is allocated for it.
    let plain = !replacement.contains('$');
    Ok(Built::new(
        DataType::Utf8,
        Arc::new(move |args, faults| {
            let text = Texts::new(args, 0);
            let nulls = args.nulls();
            texts(args, nulls.as_ref(), faults, text.bytes(args.rows), |row, out| {
                let (text, start) = (text.at(row), out.len());
                let mut done = 0;
                if plain {
                    for found in regex.find_iter(text) {
                        push(out, start, &text[done..found.start()])?;
                        push(out, start, &replacement)?;
                        done = found.end();
                    }
                    return push(out, start, &text[done..]);
                }
                for found in regex.captures_iter(text) {
                    let whole = found.get_match();
                    out.push_str(&text[done..whole.start()]);
                    found.expand(&replacement, out);
                    done = whole.end();
                    if out.len() - start > TEXT_BYTES_MAX {
                        return Err(Missing::TOO_LONG);
                    }
                }
                out.push_str(&text[done..]);
                Ok(())
            })
        }),
    ))
}

/// NULL where nothing matches.
fn extract(regex: Regex) -> Built {
    let group = usize::from(regex.captures_len() > 1);
    let kernel =
        Arc::new(move |args: &crate::expr::value::Args<'_>, faults: &mut crate::expr::value::Faults| {
            let text = Texts::new(args, 0);
            let nulls = args.nulls();
            let mut places = regex.capture_locations();
            texts(args, nulls.as_ref(), faults, text.bytes(args.rows), |row, out| {
                let text = text.at(row);
                regex.captures_read(&mut places, text).ok_or(Missing::Null)?;
                let (start, end) = places.get(group).ok_or(Missing::Null)?;
                out.push_str(&text[start..end]);
                Ok(())
            })
        });
    Built { data_type: DataType::Utf8, kernel, nulls: Nulls::Made }
}
