//! Outputs that agree with themselves, and those that do not.

use serde_json::json;

use super::*;
use crate::builders::{Int64Builder, Utf8Builder};
use crate::schema::DataType;
use crate::testing;

fn input() -> Batch {
    testing::batch(json!([{"n": 1, "t": "a"}, {"n": 2, "t": null}, {"n": 3, "t": "c"}])).unwrap()
}

fn output(schema: &Schema) -> Output {
    Output::new(Rc::new(schema.clone()))
}

fn rows(schema: &Schema, finished: &Finished) -> serde_json::Value {
    let clock = crate::Clock::default();
    let batch = Batch::new(Rc::new(schema.clone()), clock, finished.rows, finished.columns.clone()).unwrap();
    testing::rows(&batch).unwrap()
}

#[test]
fn kept_columns_are_moved_and_set_ones_win() {
    let input = input();
    let schema = input.schema().clone();
    let mut out = output(&schema);
    out.set("n", [7_i64, 8, 9].into_iter().collect::<Int64Builder>()).unwrap();
    out.keep(input);
    let finished = out.finish().unwrap();
    assert_eq!(
        rows(&schema, &finished),
        json!([{"n": 7, "t": "a"}, {"n": 8, "t": null}, {"n": 9, "t": "c"}])
    );
}

#[test]
fn rows_left_out_are_not_kept_whatever_the_order() {
    let schema = input().schema().clone();
    let mut out = output(&schema);
    out.reject(2, "late");
    out.skip(0);
    out.reject(2, "again");
    out.keep(input());
    let finished = out.finish().unwrap();
    assert_eq!(rows(&schema, &finished), json!([{"n": 2, "t": null}]));
    assert_eq!(finished.rejected, [Rejection { row: 2, reason: "late".into() }]);
}

#[test]
fn rows_can_be_chosen_and_repeated() {
    let schema = input().schema().clone();
    let mut out = output(&schema);
    out.keep_rows(input(), vec![2, 0, 2]);
    let finished = out.finish().unwrap();
    assert_eq!(rows(&schema, &finished), json!([{"n": 3, "t": "c"}, {"n": 1, "t": "a"}, {"n": 3, "t": "c"}]));
}

#[test]
fn disagreement_is_an_error_that_names_the_column() {
    let schema = Schema::of([Field::new("n", DataType::Int64), Field::new("t", DataType::Utf8)]).unwrap();
    let numbers = |count: i64| (0..count).collect::<Int64Builder>();
    let refused = |fill: &dyn Fn(&mut Output) -> Result<()>| {
        let mut out = output(&schema);
        fill(&mut out).and_then(|()| out.finish()).unwrap_err().to_string()
    };
    assert_eq!(refused(&|out| out.set("n", numbers(1))), "the output column `t` was neither set nor kept");
    assert_eq!(refused(&|out| out.set("m", numbers(1))), "the output has no column `m`; did you mean `n`?");
    assert_eq!(
        refused(&|out| out.set("t", numbers(1))),
        "the output column `t` is utf8; use the builder for it"
    );
    let uneven = |out: &mut Output| {
        out.set("n", numbers(2))?;
        out.set("t", Utf8Builder::default())
    };
    assert_eq!(refused(&uneven), "the output column `t` has 0 rows, but `n` 2: row 0 has no value in `t`");
    let beyond = |out: &mut Output| {
        out.reject(3, "none");
        out.keep(input());
        Ok(())
    };
    assert_eq!(refused(&beyond), "row 3 was left out, but the input has 3 rows");
    let far = |out: &mut Output| {
        out.keep_rows(input(), vec![3]);
        Ok(())
    };
    assert_eq!(refused(&far), "row 3 cannot be kept: the input has 3 rows");
}

#[test]
fn no_rows_are_an_output_too() {
    let schema = Schema::of([Field::new("t", DataType::Utf8)]).unwrap();
    let mut out = output(&schema);
    out.keep(
        Batch::new(Rc::new(schema.clone()), crate::Clock::default(), 0, vec![Buffers::default()]).unwrap(),
    );
    assert_eq!(out.finish().unwrap().rows, 0);
}

#[test]
fn null_where_none_is_allowed_is_told_with_its_row() {
    let schema = Schema::of([Field::new("n", DataType::Int64)]).unwrap();
    let nulls = |null: usize| (0..12_i64).map(move |row| (row as usize != null).then_some(row));
    for row in [0, 8, 11] {
        let mut out = output(&schema);
        out.set("n", nulls(row).collect::<Int64Builder>()).unwrap();
        let error = out.finish().unwrap_err();
        assert_eq!(
            error.message(),
            format!("the output column `n` has null in row {row}, but is not nullable")
        );
    }
    let mut out = output(&schema);
    out.set("n", nulls(12).collect::<Int64Builder>()).unwrap();
    assert_eq!(out.finish().unwrap().rows, 12);
}
