use arrow_array::{Int64Array, StringArray};
use arrow_schema::{DataType, Field, Schema};
use serde_json::json;

use super::*;

fn words() -> (String, SchemaRef) {
    let fields = vec![Field::new("word", DataType::Utf8, true), Field::new("n", DataType::Int64, true)];
    ("words".to_owned(), Arc::new(Schema::new(fields)))
}

fn limits(rows: usize) -> QueryLimits {
    QueryLimits { rows, deadline: Duration::from_secs(60), elapsed: Arc::new(|| Duration::ZERO) }
}

fn ask(statement: &str, limits: &QueryLimits) -> Result<QueryRows, QueryError> {
    let tables = [words(), ("others".to_owned(), words().1)];
    let query = Query::new(statement, &tables)?;
    assert!(!query.reads("others"));
    let columns: (StringArray, Int64Array) =
        (vec![Some("mill"), None, Some("dam")].into(), vec![Some(3), Some(1), None].into());
    let rows = RecordBatch::try_new(words().1, vec![Arc::new(columns.0), Arc::new(columns.1)]).unwrap();
    if query.reads("words") {
        query.fill("words", &[rows]).unwrap();
    }
    query.run(limits)
}

#[test]
fn a_select_is_answered() {
    let found = ask("SELECT upper(word) AS w, n * 2 FROM Words ORDER BY n DESC", &limits(10)).unwrap();
    assert_eq!(found.columns, ["w", "n * 2"]);
    let rows = [vec![json!("MILL"), json!(6)], vec![json!(null), json!(2)], vec![json!("DAM"), json!(null)]];
    assert_eq!((found.rows.as_slice(), found.more), (rows.as_slice(), false));
    assert_eq!(ask("SELECT 1.5, x'ff00'", &limits(1)).unwrap().rows, [[json!(1.5), json!("ff00")]]);
}

#[test]
fn more_rows_than_wanted_are_told() {
    let found = ask("SELECT * FROM words", &limits(2)).unwrap();
    assert_eq!((found.rows.len(), found.more), (2, true));
}

#[test]
fn what_is_no_select_is_refused() {
    for statement in [
        "DELETE FROM words",
        "SELECT 1; SELECT 2",
        "CREATE TABLE x (y)",
        "ATTACH '/tmp/x.db' AS x",
        "PRAGMA journal_mode = WAL",
        "SELECT load_extension('x')",
        "",
    ] {
        let error = ask(statement, &limits(1)).unwrap_err().to_string();
        assert!(error.contains("one SELECT over state and tables"), "{statement}: {error}");
    }
    let error = ask("SELECT * FROM word", &limits(1)).unwrap_err().to_string();
    assert_eq!(error, "no such table: word: there are words, others");
    let error = ask("SELECT ?", &limits(1)).unwrap_err().to_string();
    assert!(error.contains("nothing to put there"), "{error}");
}

#[test]
fn a_statement_that_does_not_end_is_interrupted() {
    let ticks = std::sync::atomic::AtomicU64::new(0);
    let tick = move || Duration::from_millis(ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    let limits = QueryLimits { rows: 1, deadline: Duration::from_millis(50), elapsed: Arc::new(tick) };
    let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";
    let error = ask(endless, &limits).unwrap_err();
    assert!(matches!(&error, QueryError::TooMuch(why) if why.contains("longer than 50ms")), "{error}");
}
