//! What a deployer reads when an expression is wrong.

use std::thread;

use super::super::{Call, EvalError, Expr, Predicate, Problem};
use super::batch;

fn error(text: &str) -> String {
    match Expr::compile(text, &batch().schema()) {
        Ok(_) => panic!("{text}: should be refused"),
        Err(error) => error.to_string(),
    }
}

fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(text, expected)| (text, expected, error(text)))
        .filter(|(_, expected, found)| found.lines().next() != Some(expected))
        .map(|(text, expected, found)| format!("{text}\n  expected {expected}\n  found    {found}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn an_unknown_column_is_shown_with_the_nearest_and_the_place() {
    assert_eq!(
        error("i > 1\n  AND Oddname = 2"),
        "no column is called `Oddname`; did you mean `Odd name`?; there are id, i, l, z, f, g, s, n, b, x, d, t, \
         Odd name (line 2, column 7)\n    AND Oddname = 2\n        ^"
    );
}

#[test]
fn a_long_line_is_cut_around_the_place() {
    let text = format!("{} OR nothing = 1 OR {}", vec!["b"; 60].join(" OR "), vec!["b"; 60].join(" OR "));
    let error = error(&text);
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!(lines.len(), 3);
    let caret = lines[2].chars().count() - 1;
    assert!(lines[1].chars().skip(caret).collect::<String>().starts_with("nothing = 1"), "{error}");
    assert!(lines[1].chars().count() < 100, "{error}");
}

#[test]
fn functions_are_suggested_and_shown() {
    check(&[
        ("lenght(s)", "no function is called `lenght`; did you mean `length`? (line 1, column 1)"),
        ("qqq(s)", "no function is called `qqq` (line 1, column 1)"),
        (
            "substr(s)",
            "`substr` was given 1 arguments; it is written substr(text, start [, length]) (line 1, column 8)",
        ),
        (
            "length()",
            "`length` was given 0 arguments; it is written length(text_or_binary) (line 1, column 1)",
        ),
        (
            "sum(i)",
            "an aggregate outside of an aggregate step is not supported here: `sum(i)` (line 1, column 1)",
        ),
        (
            "regexp_like(s, n)",
            "`n` must be a text literal here; `regexp_like` is written regexp_like(text, 'pattern') (line 1, column 16)",
        ),
        ("s ~ '('", "'(' is no regular expression: unclosed group (line 1, column 5)"),
        (
            "date_trunc('hours', t)",
            "date_trunc knows no unit 'hours'; there are microsecond, millisecond, second, minute, hour, day, week, month, quarter, year (line 1, column 1)",
        ),
        (
            "to_char(t, '%Q')",
            "'%Q' is no format of time; write it like '%Y-%m-%d %H:%M:%S' (line 1, column 1)",
        ),
    ]);
}

#[test]
fn types_that_do_not_go_together_suggest_the_cast() {
    check(&[
        (
            "i = s",
            "a comparison needs one type, and `i` is int32 while `s` is utf8; write CAST(s AS int32) (line 1, column 5)",
        ),
        (
            "n + 1",
            "arithmetic takes numbers, and `n` is utf8; write CAST(n AS float64), or || to join text (line 1, column 1)",
        ),
        (
            "t + 1",
            "arithmetic takes numbers, and `t` is timestamp; add INTERVAL '5 minutes' and the like, or subtract epoch(...) of both (line 1, column 1)",
        ),
        ("s || i", "|| takes utf8, and `i` is int32; write CAST(i AS utf8) (line 1, column 6)"),
        ("i AND b", "AND takes boolean, and `i` is int32; compare it with something (line 1, column 1)"),
        (
            "CASE WHEN b THEN 1 ELSE s END",
            "CASE needs one type, and `s` is utf8 while `1` is int64; write CAST(1 AS utf8) (line 1, column 18)",
        ),
        (
            "i IN (1, 'a')",
            "IN needs one type, and `i` is int32 while `'a'` is utf8; write CAST('a' AS int32) (line 1, column 10)",
        ),
        (
            "t = d",
            "a comparison needs one type, and `t` is timestamp while `d` is date; write CAST(d AS timestamp) (line 1, column 5)",
        ),
        (
            "CAST(i AS timestamp)",
            "int32 cannot be cast to timestamp; use to_timestamp_seconds, to_timestamp_millis or to_timestamp_micros (line 1, column 6)",
        ),
        (
            "CAST(i AS uuid)",
            "there is no type `UUID` here; there are boolean, int32, int64, float32, float64, utf8, binary, date, timestamp (line 1, column 6)",
        ),
        ("sqrt(n)", "sqrt takes float64, and `n` is utf8; write CAST(n AS float64) (line 1, column 6)"),
        ("abs(n)", "abs takes a number, and `n` is utf8; write CAST(n AS float64) (line 1, column 5)"),
        ("NULL", "NULL alone has no type; write CAST(NULL AS ...) with the type you mean (line 1, column 1)"),
        ("NOT i", "NOT takes boolean, and `i` is int32; compare it with something (line 1, column 5)"),
    ]);
}

#[test]
fn literals_are_read_at_deployment() {
    check(&[
        (
            "t > 'yesterday'",
            "'yesterday' is no timestamp; write it like '2024-02-29T12:30:00Z' (line 1, column 5)",
        ),
        ("d = '2023-02-29'", "'2023-02-29' is no date; write it like '2024-02-29' (line 1, column 5)"),
        (
            "9223372036854775808",
            "9223372036854775808 does not fit int64; write 9223372036854775808.0 for a float64 (line 1, column 1)",
        ),
        ("t + INTERVAL '5'", "the interval '5' has no unit; write it like '5 minutes' (line 1, column 14)"),
        (
            "t + INTERVAL '5 moons'",
            "'5 moons' is no interval; write it like '1 day 30 minutes' (line 1, column 14)",
        ),
        (
            "s LIKE 'a!' ESCAPE '!'",
            "the pattern 'a!' ends in its escape character; write it twice to match it (line 1, column 8)",
        ),
        (
            "1 / 0",
            "this fails for every row: `1 / 0`: division by zero; with NULLIF(divisor, 0) the result is NULL instead (line 1, column 1)",
        ),
        (
            "CAST('x' AS int) + i",
            "this fails for every row: `CAST('x' AS INT)`: 'x' does not fit int32; TRY_CAST gives NULL instead (line 1, column 6)",
        ),
    ]);
}

#[test]
fn what_is_no_expression_is_refused() {
    check(&[
        ("", "not an SQL expression: expected an expression, found EOF"),
        ("i +", "not an SQL expression: expected an expression, found EOF"),
        ("i i", "not an SQL expression: it should end before `i` (line 1, column 3)"),
        ("'open", "not an SQL expression: Unterminated string literal (line 1, column 1)"),
        ("SELECT 1", "not an SQL expression: it should end before `1` (line 1, column 8)"),
        (
            "i IN (SELECT 1)",
            "a query inside an expression is not supported here: `i IN (SELECT 1)` (line 1, column 1)",
        ),
        (
            "a.b",
            "a qualified name (a name with a dot in it is written in double quotes) is not supported here: `a.b` (line 1, column 1)",
        ),
        (
            "INTERVAL '1 day'",
            "an interval that is not added to or subtracted from a timestamp is not supported here: `INTERVAL '1 day'` (line 1, column 10)",
        ),
        ("i # 1", "the operator # is not supported here: `i # 1` (line 1, column 1)"),
    ]);
}

#[test]
fn deep_and_large_expressions_are_refused_and_do_not_overflow_the_stack() {
    let tried = thread::Builder::new().stack_size(2 << 20).spawn(|| {
        for text in [
            format!("{}i{}", "(".repeat(20_000), ")".repeat(20_000)),
            format!("i{}", " + 1".repeat(10_000)),
            format!("i{}", "+1".repeat(990)),
            format!("{}b", "NOT ".repeat(990)),
            format!("i{}", "::int8".repeat(490)),
            format!("b{}", " IS NULL".repeat(490)),
            "-".repeat(1_000) + "i",
            "CASE WHEN b THEN ".repeat(190) + "1" + &" END".repeat(190),
            "x".repeat(100_000),
        ] {
            let start: String = text.chars().take(20).collect();
            match Expr::compile(&text, &batch().schema()) {
                Ok(_) => panic!("{start}: should be refused"),
                Err(error) => {
                    let large = matches!(error.problem, Problem::TooLarge(_) | Problem::Syntax(_));
                    assert!(large, "{start}: {error}");
                }
            }
        }
        let long = format!("i{}", " + 1".repeat(190));
        assert!(Expr::compile(&long, &batch().schema()).unwrap().evaluate(&batch()).is_ok());
        let list: Vec<String> = (0..5_000).map(|i| i.to_string()).collect();
        assert!(Expr::compile(&format!("i IN ({})", list.join(",")), &batch().schema()).is_ok());
    });
    tried.unwrap().join().unwrap();
}

#[test]
fn a_condition_is_boolean() {
    let error = Predicate::new("i + 1", &batch().schema()).unwrap_err();
    assert_eq!(error.to_string(), "a condition is boolean, and this is int32; compare it with something");
}

#[test]
fn a_batch_of_another_schema_is_an_error() {
    let expr = Expr::compile("i + 1", &batch().schema()).unwrap();
    let other = batch().project(&[0, 2]).unwrap();
    let error = expr.evaluate(&other).unwrap_err();
    assert!(matches!(error, EvalError::Schema { .. }));
    assert_eq!(error.to_string(), "column `i` was int32 at deployment and is int64 in this batch");
}

#[test]
fn a_call_is_taken_apart() {
    let call = Call::parse("SUM(DISTINCT i * 2)").unwrap();
    assert_eq!((call.name.as_str(), call.distinct, call.star, call.arguments.len()), ("sum", true, false, 1));
    let argument = call.arguments[0].bind(&batch().schema()).unwrap();
    assert_eq!(argument.data_type(), &arrow_schema::DataType::Int32);

    let call = Call::parse("count(*)").unwrap();
    assert_eq!((call.star, call.arguments.len()), (true, 0));
    assert_eq!(Call::parse("count()").unwrap().arguments.len(), 0);

    let error = Call::parse("sum(i) + 1").unwrap_err().to_string();
    assert!(
        error.starts_with("this is no call of a function: write one call, like `sum(price * 2)`"),
        "{error}"
    );
    assert!(Call::parse("sum(i) OVER ()").is_err());
    assert!(Call::parse("sum(i) FILTER (WHERE b)").is_err());
}
