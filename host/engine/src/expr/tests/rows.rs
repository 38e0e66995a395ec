//! Rows kept, rows made, and rows at fault.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use arrow_schema::DataType;

use super::super::{Expr, Predicate, Projection};
use super::batch;

fn columns(columns: &[(&str, &str)]) -> Vec<(String, String)> {
    columns.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
}

fn ids(batch: &RecordBatch) -> Vec<i64> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    batch.column_by_name("id").unwrap().as_primitive::<Int64Type>().values().to_vec()
}

#[test]
fn a_fault_names_row_part_and_reason() {
    let expr = Expr::compile("i + CAST(n AS int32) * 2", &batch().schema()).unwrap();
    let evaluated = expr.evaluate(&batch()).unwrap();
    let faults: Vec<String> = evaluated.faults.iter().map(|fault| format!("{} {fault}", fault.row)).collect();
    assert_eq!(faults, ["1 `CAST(n AS Int32)`: '4x' does not fit int32; TRY_CAST gives NULL instead"]);
}

#[test]
fn a_filter_keeps_what_is_true_and_reports_faults() {
    let filter = |text: &str| {
        let filtered = Predicate::new(text, &batch().schema()).unwrap().filter(&batch()).unwrap();
        let faults: Vec<u32> = filtered.faults.iter().map(|fault| fault.row).collect();
        (ids(&filtered.rows), faults)
    };
    assert_eq!(filter("b"), (vec![1], vec![]));
    assert_eq!(filter("NOT b"), (vec![2], vec![]));
    assert_eq!(filter("b IS NULL"), (vec![3], vec![]));
    assert_eq!(filter("TRUE"), (vec![1, 2, 3], vec![]));
    assert_eq!(filter("FALSE"), (vec![], vec![]));
    assert_eq!(filter("NULL = 1"), (vec![], vec![]));
    assert_eq!(filter("(id / z) IS NULL OR TRUE"), (vec![2, 3], vec![0]));
}

#[test]
fn a_projection_passes_columns_through_without_copying() {
    let projection =
        Projection::new(columns(&[("*", "*"), ("twice", "id * 2"), ("at", "t")]), &batch().schema()).unwrap();
    let input = batch();
    let projected = projection.apply(&input).unwrap();
    assert!(projected.faults.is_empty());
    let last = input.num_columns() + 1;
    assert_eq!(projected.rows.num_columns(), last + 1);
    assert!(Arc::ptr_eq(projected.rows.column(last), input.column_by_name("t").unwrap()));
    let passed: Vec<(usize, usize)> = projection.pass_through().collect();
    assert_eq!(passed.last(), Some(&(last, input.schema().index_of("t").unwrap())));
    assert!(!passed.iter().any(|(output, _)| *output == last - 1));
    let twice = projection.schema().field_with_name("twice").unwrap();
    assert_eq!((twice.data_type(), twice.is_nullable()), (&DataType::Int64, false));
}

#[test]
fn a_name_of_its_own_replaces_the_column_of_the_star() {
    let projection = Projection::new(columns(&[("*", "*"), ("id", "id + 1")]), &batch().schema()).unwrap();
    let projected = projection.apply(&batch()).unwrap();
    assert_eq!(ids(&projected.rows), [2, 3, 4]);
    assert_eq!(projected.rows.num_columns(), batch().num_columns());
}

#[test]
fn rows_at_fault_are_in_no_column() {
    let projection = Projection::new(
        columns(&[("id", "id"), ("sum", "i + 1"), ("quotient", "10 / z"), ("other", "i + 2")]),
        &batch().schema(),
    );
    let projected = projection.unwrap().apply(&batch()).unwrap();
    assert_eq!(ids(&projected.rows), [3]);
    let faults: Vec<String> = projected.faults.iter().map(|fault| format!("{} {fault}", fault.row)).collect();
    assert_eq!(
        faults,
        [
            "0 `10 / z`: division by zero; with NULLIF(divisor, 0) the result is NULL instead",
            "1 `i + 1`: the result does not fit int32; CAST an operand to int64"
        ]
    );
}

#[test]
fn two_columns_of_one_name_are_refused() {
    let error = Projection::new(columns(&[("a", "id"), ("a", "i")]), &batch().schema()).unwrap_err();
    assert_eq!(error.to_string(), "two columns of the result are called `a`; give one of them another name");
}

#[test]
fn no_columns_and_no_rows_are_fine() {
    let none = Projection::new(Vec::new(), &batch().schema()).unwrap().apply(&batch()).unwrap();
    assert_eq!((none.rows.num_rows(), none.rows.num_columns()), (3, 0));
    let empty = batch().slice(1, 0);
    for text in
        ["i + 1 > 2 AND s LIKE 'a%'", "CASE WHEN b THEN 1 END = 2", "1 = 1", "length(s) = 2", "upper(s) = s"]
    {
        let filtered = Predicate::new(text, &batch().schema()).unwrap().filter(&empty).unwrap();
        assert_eq!(filtered.rows.num_rows(), 0, "{text}");
    }
}

#[test]
fn slices_of_a_batch_give_slices_of_the_result() {
    let texts = [
        "i + 1",
        "s || n",
        "s LIKE 'G%'",
        "coalesce(n, s)",
        "CASE WHEN b THEN id ELSE z END",
        "id / z",
        "n IN ('42', 'b', 'c', 'd', 'e', 'f', 'g', 'h')",
        "t + INTERVAL '1 month'",
        "concat(s, i)",
        "f > 1",
        "length(s)",
        "b IS NOT TRUE",
        "TRY_CAST(n AS int64)",
        "regexp_extract(n, '.')",
        "greatest(i, id)",
    ];
    for text in texts {
        let expr = Expr::compile(text, &batch().schema()).unwrap();
        let whole = expr.evaluate(&batch()).unwrap();
        for row in 0..3 {
            let one = expr.evaluate(&batch().slice(row, 1)).unwrap();
            assert_eq!(&one.array, &whole.array.slice(row, 1), "{text}");
            let fault = whole.faults.iter().any(|fault| fault.row as usize == row);
            assert_eq!(!one.faults.is_empty(), fault, "{text}");
        }
    }
}

#[test]
fn the_columns_that_are_read_are_known() {
    let expr = Expr::compile("l + i > i OR b", &batch().schema()).unwrap();
    assert_eq!(expr.columns(), [1, 2, 8]);
    assert_eq!(expr.pass_through(), None);
    assert_eq!(Expr::compile("(t)", &batch().schema()).unwrap().pass_through(), Some(11));
    assert_eq!(Expr::compile("t + INTERVAL '0 seconds'", &batch().schema()).unwrap().pass_through(), None);
    assert_eq!(Expr::compile("CAST(t AS timestamp)", &batch().schema()).unwrap().pass_through(), Some(11));
}
