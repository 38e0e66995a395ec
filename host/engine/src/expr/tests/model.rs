//! Random expressions against an interpreter of single values.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Int64Array, RecordBatch};
use arrow_schema::{DataType, Field, Schema};
use proptest::prelude::*;

use super::super::Expr;

/// An expression over the columns `a`, `b` (int64) and `p`, `q` (boolean).
#[derive(Clone, Debug)]
enum Tree {
    Int(Option<i64>),
    IntColumn(usize),
    Arithmetic(char, Box<Tree>, Box<Tree>),
    Negative(Box<Tree>),
    Choice(Box<Tree>, Box<Tree>, Box<Tree>),
    First(Box<Tree>, Box<Tree>),
    Bool(Option<bool>),
    BoolColumn(usize),
    Compare(&'static str, Box<Tree>, Box<Tree>),
    And(Box<Tree>, Box<Tree>),
    Or(Box<Tree>, Box<Tree>),
    Not(Box<Tree>),
    IsNull(Box<Tree>),
    Within(Box<Tree>, Box<Tree>, Box<Tree>),
    OneOf(Box<Tree>, Vec<Tree>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scalar {
    Null,
    Int(i64),
    Bool(bool),
}

struct Fault;

type Row = ([Option<i64>; 2], [Option<bool>; 2]);

impl Tree {
    fn sql(&self) -> String {
        let null =
            |shown: Option<String>, name: &str| shown.unwrap_or_else(|| format!("CAST(NULL AS {name})"));
        match self {
            Self::Int(value) => format!("({})", null(value.map(|value| value.to_string()), "int64")),
            Self::IntColumn(i) => ["a", "b"][*i].to_owned(),
            Self::Arithmetic(op, l, r) => format!("({} {op} {})", l.sql(), r.sql()),
            Self::Negative(x) => format!("(- ({}))", x.sql()),
            Self::Choice(when, then, other) => {
                format!("CASE WHEN {} THEN {} ELSE {} END", when.sql(), then.sql(), other.sql())
            }
            Self::First(l, r) => format!("COALESCE({}, {})", l.sql(), r.sql()),
            Self::Bool(value) => null(value.map(|value| value.to_string()), "boolean"),
            Self::BoolColumn(i) => ["p", "q"][*i].to_owned(),
            Self::Compare(op, l, r) => format!("({} {op} {})", l.sql(), r.sql()),
            Self::And(l, r) => format!("({} AND {})", l.sql(), r.sql()),
            Self::Or(l, r) => format!("({} OR {})", l.sql(), r.sql()),
            Self::Not(x) => format!("(NOT {})", x.sql()),
            Self::IsNull(x) => format!("({} IS NULL)", x.sql()),
            Self::Within(x, l, r) => format!("({} BETWEEN {} AND {})", x.sql(), l.sql(), r.sql()),
            Self::OneOf(x, items) => {
                let items: Vec<String> = items.iter().map(Self::sql).collect();
                format!("({} IN ({}))", x.sql(), items.join(", "))
            }
        }
    }

    fn value(&self, row: &Row) -> Result<Scalar, Fault> {
        let int = |value: Option<i64>| value.map_or(Scalar::Null, Scalar::Int);
        let boolean = |value: Option<bool>| value.map_or(Scalar::Null, Scalar::Bool);
        Ok(match self {
            Self::Int(value) => int(*value),
            Self::IntColumn(i) => int(row.0[*i]),
            Self::Bool(value) => boolean(*value),
            Self::BoolColumn(i) => boolean(row.1[*i]),
            Self::Arithmetic(op, l, r) => match (l.value(row)?, r.value(row)?) {
                (Scalar::Int(l), Scalar::Int(r)) => Scalar::Int(arithmetic(*op, l, r)?),
                _ => Scalar::Null,
            },
            Self::Negative(x) => match x.value(row)? {
                Scalar::Int(x) => Scalar::Int(x.checked_neg().ok_or(Fault)?),
                _ => Scalar::Null,
            },
            Self::Choice(when, then, other) => match when.value(row)? {
                Scalar::Bool(true) => then.value(row)?,
                _ => other.value(row)?,
            },
            Self::First(l, r) => match l.value(row)? {
                Scalar::Null => r.value(row)?,
                value => value,
            },
            Self::Compare(op, l, r) => compare(op, l.value(row)?, r.value(row)?),
            Self::And(l, r) => match l.value(row)? {
                Scalar::Bool(false) => Scalar::Bool(false),
                l => and(l, r.value(row)?),
            },
            Self::Or(l, r) => match l.value(row)? {
                Scalar::Bool(true) => Scalar::Bool(true),
                l => not(and(not(l), not(r.value(row)?))),
            },
            Self::Not(x) => not(x.value(row)?),
            Self::IsNull(x) => Scalar::Bool(x.value(row)? == Scalar::Null),
            Self::Within(x, l, r) => {
                let (x, l, r) = (x.value(row)?, l.value(row)?, r.value(row)?);
                and(compare(">=", x, l), compare("<=", x, r))
            }
            Self::OneOf(x, items) => {
                let x = x.value(row)?;
                let mut found = Scalar::Bool(false);
                for item in items {
                    found = not(and(not(found), not(compare("=", x, item.value(row)?))));
                }
                found
            }
        })
    }
}

fn arithmetic(op: char, l: i64, r: i64) -> Result<i64, Fault> {
    match op {
        '+' => l.checked_add(r),
        '-' => l.checked_sub(r),
        '*' => l.checked_mul(r),
        '/' => l.checked_div(r),
        _ if r == -1 => Some(0),
        _ => l.checked_rem(r),
    }
    .ok_or(Fault)
}

fn compare(op: &str, l: Scalar, r: Scalar) -> Scalar {
    let same = l == r;
    match (op, l, r) {
        ("IS DISTINCT FROM", ..) => Scalar::Bool(!same),
        ("IS NOT DISTINCT FROM", ..) => Scalar::Bool(same),
        (_, Scalar::Int(l), Scalar::Int(r)) => Scalar::Bool(match op {
            "=" => l == r,
            "<>" => l != r,
            "<" => l < r,
            "<=" => l <= r,
            ">" => l > r,
            _ => l >= r,
        }),
        _ => Scalar::Null,
    }
}

fn and(l: Scalar, r: Scalar) -> Scalar {
    match (l, r) {
        (Scalar::Bool(false), _) | (_, Scalar::Bool(false)) => Scalar::Bool(false),
        (Scalar::Bool(true), Scalar::Bool(true)) => Scalar::Bool(true),
        _ => Scalar::Null,
    }
}

fn not(x: Scalar) -> Scalar {
    match x {
        Scalar::Bool(x) => Scalar::Bool(!x),
        other => other,
    }
}

fn some_int() -> impl Strategy<Value = Option<i64>> {
    prop_oneof![
        6 => (-3i64..4).prop_map(Some),
        1 => prop::sample::select(vec![i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX / 2]).prop_map(Some),
        2 => Just(None),
    ]
}

fn some_bool() -> impl Strategy<Value = Option<bool>> {
    prop::option::weighted(0.7, any::<bool>())
}

fn boxed<T>(strategy: impl Strategy<Value = T>) -> impl Strategy<Value = Box<T>>
where
    T: std::fmt::Debug,
{
    strategy.prop_map(Box::new)
}

fn int_tree(depth: u32) -> BoxedStrategy<Tree> {
    let leaf = prop_oneof![1 => some_int().prop_map(Tree::Int), 3 => (0usize..2).prop_map(Tree::IntColumn)];
    if depth == 0 {
        return leaf.boxed();
    }
    let int = || boxed(int_tree(depth - 1));
    prop_oneof![
        1 => leaf,
        4 => (prop::sample::select(vec!['+', '-', '*', '/', '%']), int(), int())
            .prop_map(|(op, l, r)| Tree::Arithmetic(op, l, r)),
        1 => int().prop_map(Tree::Negative),
        1 => (boxed(bool_tree(depth - 1)), int(), int()).prop_map(|(w, t, o)| Tree::Choice(w, t, o)),
        1 => (int(), int()).prop_map(|(l, r)| Tree::First(l, r)),
    ]
    .boxed()
}

fn bool_tree(depth: u32) -> BoxedStrategy<Tree> {
    let leaf =
        prop_oneof![1 => some_bool().prop_map(Tree::Bool), 3 => (0usize..2).prop_map(Tree::BoolColumn)];
    if depth == 0 {
        return leaf.boxed();
    }
    let int = || boxed(int_tree(depth - 1));
    let boolean = || boxed(bool_tree(depth - 1));
    let comparisons = vec!["=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"];
    prop_oneof![
        1 => leaf,
        4 => (prop::sample::select(comparisons), int(), int()).prop_map(|(op, l, r)| Tree::Compare(op, l, r)),
        2 => (boolean(), boolean()).prop_map(|(l, r)| Tree::And(l, r)),
        2 => (boolean(), boolean()).prop_map(|(l, r)| Tree::Or(l, r)),
        1 => boolean().prop_map(Tree::Not),
        1 => int().prop_map(Tree::IsNull),
        1 => (int(), int(), int()).prop_map(|(x, l, r)| Tree::Within(x, l, r)),
        1 => (int(), prop::collection::vec(int_tree(depth - 1), 1..4)).prop_map(|(x, items)| Tree::OneOf(x, items)),
        1 => (int(), prop::collection::vec(some_int().prop_map(Tree::Int), 8..12))
            .prop_map(|(x, items)| Tree::OneOf(x, items)),
    ]
    .boxed()
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = ([some_int(), some_int()], [some_bool(), some_bool()]);
    prop::collection::vec(row, 0..20)
}

fn batch(rows: &[Row]) -> RecordBatch {
    let int = |i: usize| Arc::new(rows.iter().map(|row| row.0[i]).collect::<Int64Array>()) as ArrayRef;
    let boolean = |i: usize| Arc::new(rows.iter().map(|row| row.1[i]).collect::<BooleanArray>()) as ArrayRef;
    let schema = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Int64, true),
        Field::new("p", DataType::Boolean, true),
        Field::new("q", DataType::Boolean, true),
    ]);
    RecordBatch::try_new(Arc::new(schema), vec![int(0), int(1), boolean(0), boolean(1)]).unwrap()
}

fn scalar(array: &ArrayRef, row: usize) -> Scalar {
    match array.data_type() {
        _ if array.is_null(row) => Scalar::Null,
        DataType::Boolean => Scalar::Bool(array.as_boolean().value(row)),
        _ => Scalar::Int(array.as_primitive::<Int64Type>().value(row)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn batches_agree_with_an_interpreter_of_single_values(
        tree in prop_oneof![int_tree(3), bool_tree(3)],
        rows in rows(),
    ) {
        let batch = batch(&rows);
        let sql = tree.sql();
        // A part without columns that fails is refused at deployment, which no row shows.
        let Ok(expr) = Expr::compile(&sql, &batch.schema()) else { return Ok(()) };
        let evaluated = expr.evaluate(&batch).unwrap();
        for (i, row) in rows.iter().enumerate() {
            let fault = evaluated.faults.iter().any(|fault| fault.row as usize == i);
            match tree.value(row) {
                Ok(expected) => {
                    prop_assert!(!fault, "{sql} faults in row {row:?}");
                    prop_assert_eq!(scalar(&evaluated.array, i), expected, "{} in row {:?}", sql, row);
                }
                Err(Fault) => prop_assert!(fault, "{sql} has no fault in row {row:?}"),
            }
        }
    }
}
