//! The join with a table against nested loops.

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use proptest::prelude::*;

use super::*;
use crate::batch::BatchId;
use crate::table::TableVersion;

const KINDS: [JoinKind; 4] = [JoinKind::Inner, JoinKind::Left, JoinKind::Semi, JoinKind::Anti];

/// A key of two columns, of which either may be null, and the number of the row.
type Row = (Option<i64>, Option<&'static str>, i64);

fn schema(id: &str) -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
        Field::new(id, DataType::Int64, false),
    ]))
}

fn rows(id: &str, rows: &[Row]) -> RecordBatch {
    let numbers: Int64Array = rows.iter().map(|row| row.0).collect();
    let texts: arrow_array::StringArray = rows.iter().map(|row| row.1).collect();
    let ids: Int64Array = rows.iter().map(|row| Some(row.2)).collect();
    RecordBatch::try_new(schema(id), vec![Arc::new(numbers), Arc::new(texts), Arc::new(ids)]).unwrap()
}

fn plan(kind: JoinKind, keys: &[&str]) -> (TableJoinPlan, TableView) {
    let view = TableView::new("t", schema("r"));
    let key = |name: &&str| JoinKey { name: (*name).into(), left: (*name).into(), right: (*name).into() };
    let on = keys.iter().map(key).collect();
    let parts = TableJoinParts { left: schema("l"), right: view.clone(), on, kind };
    (TableJoinPlan::new(parts).unwrap(), view)
}

fn ctx() -> BatchCtx {
    BatchCtx { batch: BatchId(1), now_us: 0, watermark_us: None, seed: 0, order: 0 }
}

/// Left and right number of what comes out, and the version it carries.
fn out(kind: JoinKind, rows: &RecordBatch) -> Vec<(i64, Option<i64>, i64)> {
    let column = |name: &str| rows[name].as_primitive::<Int64Type>().iter();
    let version = rows.column(rows.num_columns() - 1).as_primitive::<Int64Type>();
    assert_eq!(rows.schema().fields().last().unwrap().name(), "t_version");
    let rights: Vec<Option<i64>> = match kind {
        JoinKind::Semi | JoinKind::Anti => vec![None; rows.num_rows()],
        _ => column("r").collect(),
    };
    let lefts = column("l").map(Option::unwrap).zip(rights).zip(version.values());
    lefts.map(|((left, right), version)| (left, right, *version)).collect()
}

fn model(
    kind: JoinKind,
    both: bool,
    left: &[Row],
    right: &[Row],
    version: i64,
) -> Vec<(i64, Option<i64>, i64)> {
    let matches = |l: &Row, r: &Row| l.0.is_some() && l.0 == r.0 && (!both || (l.1.is_some() && l.1 == r.1));
    let mut out = Vec::new();
    for l in left {
        let of: Vec<i64> = right.iter().filter(|r| matches(l, r)).map(|r| r.2).collect();
        match kind {
            JoinKind::Semi if !of.is_empty() => out.push((l.2, None, version)),
            JoinKind::Anti | JoinKind::Left if of.is_empty() => out.push((l.2, None, version)),
            JoinKind::Inner | JoinKind::Left => out.extend(of.iter().map(|r| (l.2, Some(*r), version))),
            _ => {}
        }
    }
    out
}

fn any_rows(max: usize) -> impl Strategy<Value = Vec<Row>> {
    let text =
        proptest::option::weighted(0.8, proptest::sample::select(vec!["", "x", "a longer text than a word"]));
    let row = (proptest::option::weighted(0.9, -2i64..4), text);
    proptest::collection::vec(row, 0..max)
        .prop_map(|rows| rows.into_iter().zip(0..).map(|((a, b), id)| (a, b, id)).collect())
}

proptest! {
    #[test]
    fn a_join_with_a_table_is_that_of_nested_loops_in_the_order_of_both(
        batches in proptest::collection::vec((any_rows(20), proptest::option::of(any_rows(12))), 1..6),
        kind in proptest::sample::select(KINDS.to_vec()),
        both in any::<bool>(),
        cut in 1usize..9,
        workers in 1usize..4,
    ) {
        let (plan, view) = plan(kind, if both { &["a", "b"] } else { &["a"] });
        let mut steps: Vec<TableJoin> = (0..workers).map(|_| plan.build().unwrap()).collect();
        let (mut table, mut version) = (Vec::new(), 0);
        for (left, new) in batches {
            if let Some(new) = new {
                (table, version) = (new, version + 1);
                view.show(Arc::new(TableVersion { number: version, rows: rows("r", &table) }));
            }
            let mut found = Vec::new();
            for (i, chunk) in left.chunks(cut).enumerate() {
                let applied = steps[i % workers].apply(&ctx(), &rows("l", chunk)).unwrap();
                prop_assert!(applied.rejected.is_empty());
                prop_assert_eq!(applied.rows.schema(), plan.schema().clone());
                found.extend(out(kind, &applied.rows));
            }
            prop_assert_eq!(found, model(kind, both, &left, &table, version.cast_signed()));
        }
    }
}

#[test]
fn columns_are_those_of_both_sides_and_the_version() {
    let shown = |kind| {
        let (plan, _) = plan(kind, &["a"]);
        let field =
            |field: &Arc<Field>| format!("{}{}", field.name(), if field.is_nullable() { "?" } else { "" });
        plan.schema().fields().iter().map(field).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown(JoinKind::Inner), "a? b? l b_right? r t_version");
    assert_eq!(shown(JoinKind::Left), "a? b? l b_right? r? t_version");
    assert_eq!(shown(JoinKind::Semi), "a? b? l t_version");
}

#[test]
fn rows_of_one_key_do_not_multiply_without_end() {
    let (plan, view) = plan(JoinKind::Inner, &["a"]);
    let many: Vec<Row> = (0..5000).map(|id| (Some(1), None, id)).collect();
    view.show(Arc::new(TableVersion { number: 1, rows: rows("r", &many) }));
    let error = plan.build().unwrap().apply(&ctx(), &rows("l", &many)).unwrap_err().to_string();
    assert!(error.contains("5000 rows match 25000000 rows of table `t`"), "{error}");
}

#[test]
fn rows_whose_key_cannot_be_computed_are_refused_on_the_left_and_match_nothing_on_the_right() {
    let view = TableView::new("t", schema("r"));
    let on = vec![JoinKey { name: "k".into(), left: "10 / l".into(), right: "10 / r".into() }];
    let parts = TableJoinParts { left: schema("l"), right: view.clone(), on, kind: JoinKind::Inner };
    let plan = TableJoinPlan::new(parts).unwrap();
    let all: Vec<Row> = (0..3).map(|id| (None, None, id)).collect();
    view.show(Arc::new(TableVersion { number: 1, rows: rows("r", &all) }));
    let applied = plan.build().unwrap().apply(&ctx(), &rows("l", &all)).unwrap();
    assert_eq!(applied.rejected.iter().map(|row| row.row).collect::<Vec<_>>(), [0]);
    assert_eq!(out(JoinKind::Inner, &applied.rows), [(1, Some(1), 1), (2, Some(2), 1)]);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let refused = |left: SchemaRef, kind| {
        let on = vec![JoinKey { name: "a".into(), left: "a".into(), right: "a".into() }];
        TableJoinPlan::new(TableJoinParts { left, right: TableView::new("t", schema("r")), on, kind })
            .unwrap_err()
            .to_string()
    };
    for kind in [JoinKind::Right, JoinKind::Full] {
        assert!(refused(schema("l"), kind).starts_with("kind: a table's rows do not come"));
    }
    let taken = refused(schema("t_version"), JoinKind::Inner);
    assert!(taken.starts_with("right: the rows have a column `t_version` already"), "{taken}");
}
