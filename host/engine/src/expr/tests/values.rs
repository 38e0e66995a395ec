//! What expressions give, kind by kind.

use super::check;

#[test]
fn literals_stand_for_every_row() {
    check(&[
        ("1", "1 | 1 | 1"),
        ("-9223372036854775808", "-9223372036854775808 | -9223372036854775808 | -9223372036854775808"),
        ("1.5e3", "1500.0 | 1500.0 | 1500.0"),
        ("'it''s'", "it's | it's | it's"),
        (r"'back\slash'", r"back\slash | back\slash | back\slash"),
        ("TRUE", "true | true | true"),
        ("CAST(NULL AS int32)", "- | - | -"),
        ("DATE '2024-02-29'", "2024-02-29 | 2024-02-29 | 2024-02-29"),
        ("epoch(TIMESTAMP '1970-01-01 00:00:01')", "1 | 1 | 1"),
        ("1 + 2 * 3", "7 | 7 | 7"),
    ]);
}

#[test]
fn columns_are_found_by_name() {
    check(&[
        ("id", "1 | 2 | 3"),
        ("ID", "1 | 2 | 3"),
        (r#""Odd name" + id"#, "11 | 22 | 33"),
        ("((i))", "7 | 2147483647 | -"),
    ]);
}

#[test]
fn three_valued_logic() {
    check(&[
        ("b AND TRUE", "true | false | -"),
        ("b AND FALSE", "false | false | false"),
        ("b AND NULL", "- | false | -"),
        ("b OR TRUE", "true | true | true"),
        ("b OR FALSE", "true | false | -"),
        ("b OR NULL", "true | - | -"),
        ("NOT b", "false | true | -"),
        ("NULL AND FALSE", "false | false | false"),
        ("NULL = NULL", "- | - | -"),
        ("NULL IS NOT DISTINCT FROM NULL", "true | true | true"),
        ("b IS TRUE", "true | false | false"),
        ("b IS NOT TRUE", "false | true | true"),
        ("b IS FALSE", "false | true | false"),
        ("b IS NOT FALSE", "true | false | true"),
        ("b IS UNKNOWN", "false | false | true"),
        ("b IS NOT UNKNOWN", "true | true | false"),
        ("i IS NULL", "false | false | true"),
        ("i IS NOT NULL", "true | true | false"),
        ("i IS DISTINCT FROM 7", "false | true | true"),
        ("i IS NOT DISTINCT FROM NULL", "false | false | true"),
    ]);
}

#[test]
fn arithmetic_widens_and_faults() {
    check(&[
        ("i + 1", "8 | ! | -"),
        ("i + id", "8 | 2147483649 | -"),
        ("i + 3000000000", "3000000007 | 5147483647 | -"),
        ("i * 0.5", "3.5 | 1073741823.5 | -"),
        ("l - 1", "-8 | ! | -"),
        ("-l", "7 | ! | -"),
        ("l / 2", "-3 | -4611686018427387904 | -"),
        ("l % 2", "-1 | 0 | -"),
        ("l / -1", "7 | ! | -"),
        ("l % -1", "0 | 0 | -"),
        ("id / z", "! | 1 | -"),
        ("id % z", "! | 0 | -"),
        ("f / z", "! | NaN | -"),
        ("f * 2", "5.0 | NaN | -"),
        ("g * 1", "0.1 | -0.0 | -"),
        ("i + NULL", "- | - | -"),
        ("+i", "7 | 2147483647 | -"),
        ("- - id", "1 | 2 | 3"),
    ]);
}

#[test]
fn comparisons_have_one_nan_and_one_zero() {
    check(&[
        ("i > 7", "false | true | -"),
        ("i <> 7", "false | true | -"),
        ("g = 0.1", "true | false | -"),
        ("g = 0", "false | true | -"),
        ("f = f", "true | true | -"),
        ("f > 1e300", "false | true | -"),
        ("-f > 1e300", "false | true | -"),
        ("i < 1.5", "false | false | -"),
        ("s < 'a'", "true | true | -"),
        ("t >= '2024-02-29'", "true | false | -"),
        ("'2024-02-29' = d", "true | false | -"),
        ("d BETWEEN '1969-12-31' AND '1970-01-01'", "false | true | -"),
        ("i BETWEEN 1 AND 7", "true | false | -"),
        ("i NOT BETWEEN 1 AND 7", "false | true | -"),
        ("i BETWEEN 8 AND NULL", "false | - | -"),
        ("x = CAST('ok' AS binary)", "true | false | -"),
        ("b = TRUE", "true | false | -"),
    ]);
}

#[test]
fn membership_knows_null() {
    check(&[
        ("i IN (7, 8)", "true | false | -"),
        ("i NOT IN (7, 8)", "false | true | -"),
        ("i IN (7, NULL)", "true | - | -"),
        ("i NOT IN (7, NULL)", "false | - | -"),
        ("id IN (1, 3, 5, 7, 9, 11, 13, 15)", "true | false | true"),
        ("id IN (1, 3, 5, 7, 9, 11, 13, NULL)", "true | - | true"),
        ("n IN ('42', 'b', 'c', 'd', 'e', 'f', 'g', 'h')", "true | false | -"),
        ("n NOT IN ('42', 'b', 'c', 'd', 'e', 'f', 'g', 'h')", "false | true | -"),
        ("f IN (2.5, 1, 2, 3, 4, 5, 6, 7, 8)", "true | false | -"),
        ("d IN ('2024-02-29')", "true | false | -"),
        ("id IN (z, 2)", "false | true | -"),
        ("2 IN (z, id)", "false | true | -"),
    ]);
}

#[test]
fn patterns() {
    check(&[
        ("s LIKE 'Gr%'", "true | false | -"),
        ("s LIKE '%世界'", "true | false | -"),
        ("s LIKE '%ß%'", "true | false | -"),
        ("s LIKE 'Gr__e%'", "true | false | -"),
        ("s LIKE ''", "false | true | -"),
        ("s LIKE '%'", "true | true | -"),
        ("s NOT LIKE 'Gr%'", "false | true | -"),
        ("s ILIKE 'gRÜ%'", "true | false | -"),
        ("'50%' LIKE '50!%' ESCAPE '!'", "true | true | true"),
        ("'50x' LIKE '50!%' ESCAPE '!'", "false | false | false"),
        (r"'a_b' LIKE 'a\_b'", "true | true | true"),
        (r"'axb' LIKE 'a\_b'", "false | false | false"),
        (r"'a\b' LIKE 'a\_' ESCAPE ''", "true | true | true"),
        (r"'a\b' LIKE 'a\_' ESCAPE '|'", "true | true | true"),
        ("'a.b' LIKE 'a_b' AND 'a.b' NOT LIKE 'a.c'", "true | true | true"),
        ("'a\nb' LIKE 'a%b'", "true | true | true"),
        ("n LIKE n", "true | true | -"),
        ("n LIKE NULL", "- | - | -"),
        ("n ~ '^[0-9]+$'", "true | false | -"),
        ("n !~ '^[0-9]+$'", "false | true | -"),
        ("n ~* 'X'", "false | true | -"),
        ("regexp_like(s, '\\p{Han}')", "true | false | -"),
    ]);
}

#[test]
fn case_takes_the_first_true_branch() {
    check(&[
        ("CASE WHEN b THEN 'yes' WHEN NOT b THEN 'no' END", "yes | no | -"),
        ("CASE WHEN b THEN 'yes' ELSE 'no' END", "yes | no | no"),
        ("CASE i WHEN 7 THEN 1 WHEN NULL THEN 2 ELSE 3.5 END", "1.0 | 3.5 | 3.5"),
        ("CASE WHEN id = 1 THEN i WHEN id = 2 THEN l END", "7 | -9223372036854775808 | -"),
        ("CASE WHEN TRUE THEN 1 ELSE 2 END", "1 | 1 | 1"),
    ]);
}

#[test]
fn parts_that_do_not_decide_have_no_faults() {
    check(&[
        ("z <> 0 AND id / z > 0", "false | true | -"),
        ("z = 0 OR id / z > 0", "true | true | -"),
        ("id / z > 0 AND z <> 0", "! | true | -"),
        ("CASE WHEN z <> 0 THEN id / z ELSE 0 END", "0 | 1 | 0"),
        ("CASE WHEN z = 0 THEN 0 WHEN id / z > 0 THEN 1 ELSE 2 END", "0 | 1 | 2"),
        ("CASE WHEN id / z > 0 THEN 1 END", "! | 1 | -"),
        ("COALESCE(z, CAST(n AS int64))", "0 | 2 | -"),
        ("COALESCE(TRY_CAST(n AS int64), id / z)", "42 | 1 | -"),
        ("NULLIF(id / z, 5) IS NULL", "! | false | true"),
        ("id / NULLIF(z, 0)", "- | 1 | -"),
    ]);
}

#[test]
fn choosing_among_values() {
    check(&[
        ("COALESCE(i, 0)", "7 | 2147483647 | 0"),
        ("COALESCE(NULL, i, id)", "7 | 2147483647 | 3"),
        ("COALESCE(s, n, 'none')", "Grüße, 世界 |  | none"),
        ("NULLIF(i, 7)", "- | 2147483647 | -"),
        ("NULLIF(id, 9)", "1 | 2 | 3"),
        ("greatest(i, 100, id)", "100 | 2147483647 | 100"),
        ("least(i, id, NULL)", "1 | 2 | 3"),
        ("greatest(f, 1)", "2.5 | NaN | 1.0"),
        ("greatest(CAST(NULL AS int64), i)", "7 | 2147483647 | -"),
    ]);
}

#[test]
fn casts() {
    check(&[
        ("CAST(n AS int64)", "42 | ! | -"),
        ("n::int", "42 | ! | -"),
        ("TRY_CAST(n AS int64)", "42 | - | -"),
        ("CAST(l AS int32)", "-7 | ! | -"),
        ("CAST(f AS int64)", "2 | ! | -"),
        ("CAST(-2.9 AS bigint)", "-2 | -2 | -2"),
        ("CAST(i AS text) || '!'", "7! | 2147483647! | -"),
        ("CAST(b AS int64)", "1 | 0 | -"),
        ("CAST(z AS boolean)", "false | true | -"),
        ("CAST(x AS utf8)", "ok | ! | -"),
        ("TRY_CAST(x AS text)", "ok | - | -"),
        ("octet_length(CAST(s AS binary))", "15 | 0 | -"),
        ("CAST(t AS date)", "2024-02-29 | 1969-12-31 | -"),
        ("CAST(d AS timestamp) = t", "false | false | -"),
        ("CAST(t AS text)", "2024-02-29T12:34:56.789012Z | 1969-12-31T23:59:59.999999Z | -"),
        ("CAST('2024-02-29T12:34:56.789012+00:00' AS timestamp) = t", "true | false | -"),
        ("CAST('2024-02-29T13:34:56.789012+01:00' AS timestamp) = t", "true | false | -"),
        ("CAST(CAST(d AS text) AS date) = d", "true | true | -"),
        ("CAST(n AS date)", "! | ! | -"),
        ("CAST(g AS float64) > 0.1", "true | false | -"),
        ("CAST(d AS text)", "2024-02-29 | 1969-12-31 | -"),
    ]);
}

#[test]
fn text_functions_count_characters() {
    check(&[
        ("length(s)", "9 | 0 | -"),
        ("char_length('abc')", "3 | 3 | 3"),
        ("octet_length(s)", "15 | 0 | -"),
        ("length(x)", "2 | 2 | -"),
        ("upper(s)", "GRÜSSE, 世界 |  | -"),
        ("lower(s)", "grüße, 世界 |  | -"),
        ("trim('  a ') || '.'", "a. | a. | a."),
        ("ltrim('xxaxx', 'x')", "axx | axx | axx"),
        ("TRIM(TRAILING 'x' FROM 'xxaxx')", "xxa | xxa | xxa"),
        ("TRIM(BOTH ' ' FROM ' a ')", "a | a | a"),
        ("substr(s, 2, 3)", "rüß |  | -"),
        ("substring(s FROM 8)", "世界 |  | -"),
        ("substring(s FROM 1 FOR 2)", "Gr |  | -"),
        ("substr(s, -1, 3)", "G |  | -"),
        ("substr(s, 9223372036854775807, 9223372036854775807)", " |  | -"),
        ("substr(s, 1, z - 1)", "! |  | -"),
        ("left(s, 3)", "Grü |  | -"),
        ("left(s, -2)", "Grüße,  |  | -"),
        ("right(s, 2)", "世界 |  | -"),
        ("right(s, -7)", "世界 |  | -"),
        ("right(s, 0)", " |  | -"),
        ("left(s, -9223372036854775807)", " |  | -"),
        ("replace(s, 'ß', 'ss')", "Grüsse, 世界 |  | -"),
        ("replace(s, '', 'x')", "Grüße, 世界 |  | -"),
        ("s || n", "Grüße, 世界42 | 4x | -"),
        ("concat(s, n, 1.5)", "Grüße, 世界421.5 | 4x1.5 | 1.5"),
        ("starts_with(s, 'Gr')", "true | false | -"),
        ("ends_with(s, n)", "false | false | -"),
        ("contains(s, '')", "true | true | -"),
        ("strpos(s, '世')", "8 | 0 | -"),
        ("POSITION('ß' IN s)", "4 | 0 | -"),
        ("split_part('a,b,c', ',', 2)", "b | b | b"),
        ("split_part('a,b,c', ',', -1)", "c | c | c"),
        ("split_part('a,b,c', ',', 4)", " |  | "),
        ("split_part(n, 'x', z)", "! |  | -"),
        ("lpad(n, 5, '世')", "世世世42 | 世世世4x | -"),
        ("rpad(n, 1)", "4 | 4 | -"),
        ("lpad(n, 5, '')", "42 | 4x | -"),
        ("reverse(s)", "界世 ,eßürG |  | -"),
        ("repeat(n, 2)", "4242 | 4x4x | -"),
        ("octet_length(repeat(n, id * 400000))", "800000 | ! | -"),
        ("repeat('', 9223372036854775807)", " |  | "),
        ("regexp_replace(n, '([0-9])', '<$1>')", "<4><2> | <4>x | -"),
        ("regexp_replace(n, '[0-9]', '')", " | x | -"),
        ("regexp_extract(n, '[0-9](.)')", "2 | x | -"),
        ("regexp_extract(n, '[a-z]+')", "- | x | -"),
    ]);
}

#[test]
fn number_functions() {
    check(&[
        ("abs(l)", "7 | ! | -"),
        ("abs(g)", "0.1 | 0.0 | -"),
        ("sign(l)", "-1 | -1 | -"),
        ("sign(f)", "1.0 | NaN | -"),
        ("ceil(f)", "3.0 | NaN | -"),
        ("floor(f)", "2.0 | NaN | -"),
        ("ceil(i)", "7 | 2147483647 | -"),
        ("round(f)", "3.0 | NaN | -"),
        ("round(2.345, 2)", "2.35 | 2.35 | 2.35"),
        ("round(i, -1)", "10.0 | 2147483650.0 | -"),
        ("round(1e308, 300)", "1e308 | 1e308 | 1e308"),
        ("sqrt(z * 2)", "0.0 | 2.0 | -"),
        ("sqrt(l)", "! | ! | -"),
        ("ln(z)", "! | 0.6931471805599453 | -"),
        ("log10(1000)", "3.0 | 3.0 | 3.0"),
        ("log2(8)", "3.0 | 3.0 | 3.0"),
        ("exp(0)", "1.0 | 1.0 | 1.0"),
        ("power(z, 10)", "0.0 | 1024.0 | -"),
        ("power(z, -1)", "! | 0.5 | -"),
        ("power(l, 0.5)", "! | ! | -"),
        ("mod(l, z)", "! | 0 | -"),
        ("mod(i, 4)", "3 | 3 | -"),
    ]);
}

#[test]
fn time_functions() {
    check(&[
        ("to_timestamp('2024-02-29T12:34:56.789012Z') = t", "true | false | -"),
        ("to_timestamp(n)", "! | ! | -"),
        (
            "CAST(to_timestamp_seconds(id) AS text)",
            "1970-01-01T00:00:01Z | 1970-01-01T00:00:02Z | 1970-01-01T00:00:03Z",
        ),
        ("epoch_micros(to_timestamp_millis(l))", "-7000 | ! | -"),
        ("epoch_micros(to_timestamp_micros(l))", "-7 | -9223372036854775808 | -"),
        ("epoch(t)", "1709210096 | -1 | -"),
        ("epoch_millis(t)", "1709210096789 | -1 | -"),
        ("EXTRACT(EPOCH FROM t)", "1709210096 | -1 | -"),
        ("CAST(date_trunc('hour', t) AS text)", "2024-02-29T12:00:00Z | 1969-12-31T23:00:00Z | -"),
        ("CAST(date_trunc('week', t) AS date)", "2024-02-26 | 1969-12-29 | -"),
        ("CAST(date_trunc('month', t) AS date)", "2024-02-01 | 1969-12-01 | -"),
        ("CAST(date_trunc('quarter', t) AS date)", "2024-01-01 | 1969-10-01 | -"),
        ("CAST(date_trunc('year', d) AS date)", "2024-01-01 | 1969-01-01 | -"),
        ("CAST(date_bin('15 minutes', t) AS text)", "2024-02-29T12:30:00Z | 1969-12-31T23:45:00Z | -"),
        ("date_part('year', t)", "2024 | 1969 | -"),
        ("EXTRACT(HOUR FROM t)", "12 | 23 | -"),
        ("EXTRACT(DOW FROM d)", "4 | 3 | -"),
        ("EXTRACT(DOY FROM d)", "60 | 365 | -"),
        ("date_part('microsecond', t)", "789012 | 999999 | -"),
        ("to_char(t, '%Y/%m/%d %H:%M')", "2024/02/29 12:34 | 1969/12/31 23:59 | -"),
        ("CAST(t + INTERVAL '1 year' AS date)", "2025-02-28 | 1970-12-31 | -"),
        ("epoch_micros(t + INTERVAL '5 minutes') - epoch_micros(t)", "300000000 | 300000000 | -"),
        ("epoch(INTERVAL '2' HOUR + t) - epoch(t)", "7200 | 7200 | -"),
        ("epoch_millis(t) - epoch_millis(t - INTERVAL '1 day 250 milliseconds')", "86400250 | 86400250 | -"),
        ("CAST(d + INTERVAL '36 hours' AS text)", "2024-03-01T12:00:00Z | 1970-01-01T12:00:00Z | -"),
        ("to_timestamp_micros(l) - INTERVAL '1 second' < t", "true | ! | -"),
        ("t BETWEEN TIMESTAMP '2024-01-01T00:00:00Z' AND '2025-01-01'", "true | false | -"),
    ]);
}
