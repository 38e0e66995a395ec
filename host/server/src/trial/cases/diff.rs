//! Shows where rows differ from those that were expected: a line each, with `-` for what is missing, `+` for what
//! was not expected, and a few lines around them.

use std::fmt::Write;

/// Same lines that are shown around a difference.
const AROUND: usize = 2;
/// Lines that are shown; a person looks at the first ones.
const SHOWN_MAX: usize = 60;
/// Rows beyond which only a common beginning and end are looked for: the table below is their product.
const ROWS_MAX: usize = 2_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Both,
    Missing,
    Extra,
}

/// The difference between two lists of lines of which `same` tells whether two are alike; empty where all are.
pub(super) fn diff(expected: &[String], found: &[String], same: impl Fn(usize, usize) -> bool) -> String {
    let steps = steps(expected.len(), found.len(), same);
    let differs: Vec<usize> = (0..steps.len()).filter(|at| steps[*at] != Step::Both).collect();
    let is_near = |at: usize| {
        let next = differs.partition_point(|differs| *differs + AROUND < at);
        differs.get(next).is_some_and(|differs| differs.abs_diff(at) <= AROUND)
    };
    let (mut text, mut shown) = (String::new(), 0);
    let (mut i, mut j) = (0, 0);
    let mut is_skipping = false;
    for (at, step) in steps.iter().enumerate() {
        let (sign, line) = match step {
            Step::Missing => ('-', &expected[i]),
            Step::Extra => ('+', &found[j]),
            Step::Both => (' ', &expected[i]),
        };
        i += usize::from(*step != Step::Extra);
        j += usize::from(*step != Step::Missing);
        if !is_near(at) || shown >= SHOWN_MAX {
            is_skipping = true;
            continue;
        }
        if std::mem::take(&mut is_skipping) {
            text.push_str("        …\n");
        }
        shown += 1;
        let number = if *step == Step::Extra { String::new() } else { i.to_string() };
        let _ = writeln!(text, "{number:>5} {sign} {line}");
    }
    let hidden = differs.len().saturating_sub(SHOWN_MAX);
    if shown >= SHOWN_MAX && hidden > 0 {
        let _ = writeln!(text, "        … about {hidden} more lines differ");
    }
    text
}

/// The shortest way from one list to the other: what both have at their ends, and between them what a table of the
/// longest common parts says.
fn steps(expected: usize, found: usize, same: impl Fn(usize, usize) -> bool) -> Vec<Step> {
    let shorter = expected.min(found);
    let before = (0..shorter).take_while(|i| same(*i, *i)).count();
    let after = (0..shorter - before).take_while(|i| same(expected - 1 - i, found - 1 - i)).count();
    let (rows, columns) = (expected - before - after, found - before - after);
    let mut steps = vec![Step::Both; before];
    if rows > ROWS_MAX || columns > ROWS_MAX {
        steps.extend(std::iter::repeat_n(Step::Missing, rows));
        steps.extend(std::iter::repeat_n(Step::Extra, columns));
    } else {
        steps.extend(between(rows, columns, |i, j| same(before + i, before + j)));
    }
    steps.extend(std::iter::repeat_n(Step::Both, after));
    steps
}

fn between(rows: usize, columns: usize, same: impl Fn(usize, usize) -> bool) -> Vec<Step> {
    // longest[i][j]: how many of the lines from i and from j on are common.
    let mut longest = vec![vec![0_u16; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            longest[i][j] =
                if same(i, j) { longest[i + 1][j + 1] + 1 } else { longest[i + 1][j].max(longest[i][j + 1]) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut steps = Vec::with_capacity(rows + columns);
    while i < rows || j < columns {
        if i < rows && j < columns && same(i, j) {
            steps.push(Step::Both);
            (i, j) = (i + 1, j + 1);
        } else if j == columns || (i < rows && longest[i + 1][j] >= longest[i][j + 1]) {
            steps.push(Step::Missing);
            i += 1;
        } else {
            steps.push(Step::Extra);
            j += 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(expected: &str, found: &str) -> String {
        let lines = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        let (expected, found) = (lines(expected), lines(found));
        diff(&expected, &found, |i, j| expected[i] == found[j])
    }

    #[test]
    fn only_what_differs_is_shown_with_what_is_around_it() {
        assert_eq!(of("abc", "abc"), "");
        assert_eq!(of("", ""), "");
        assert_eq!(
            of("abcdef", "abcxdef"),
            "        …\n    2   b\n    3   c\n      + x\n    4   d\n    5   e\n"
        );
        assert_eq!(of("abc", ""), "    1 - a\n    2 - b\n    3 - c\n");
        assert_eq!(of("", "a"), "      + a\n");
        assert_eq!(of("ab", "ac"), "    1   a\n    2 - b\n      + c\n");
    }

    #[test]
    fn a_long_difference_ends() {
        let text = of("", &"x".repeat(100_000));
        assert_eq!(text.lines().count(), SHOWN_MAX + 1);
        assert!(text.ends_with("about 99940 more lines differ\n"), "{text}");
    }
}
