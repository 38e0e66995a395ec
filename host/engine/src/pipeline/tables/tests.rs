//! Which version a batch sees, and how long it is kept.

use arrow_array::Int64Array;
use arrow_schema::{DataType, Field, Schema};

use super::*;

fn rows(value: i64) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from(vec![value]))]).unwrap()
}

/// A table `t` at work, whose version n has the one row n.
struct Table {
    _dir: tempfile::TempDir,
    tables: Tables,
}

impl Table {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = TableStore::open(dir.path(), Durability::Process).unwrap();
        let view = TableView::new("t", rows(0).schema());
        let newest = Arc::new(TableVersion { number: 1, rows: rows(1) });
        let (waiting, seen) = (BTreeMap::new(), VecDeque::new());
        let table = OpenTable { name: "t".into(), view, newest, waiting, seen, forgotten: 0 };
        let tables =
            Tables { tables: vec![table], store: Some(Arc::new(Mutex::new(store))), refresher: None };
        let mut table = Self { _dir: dir, tables };
        table.write(1);
        table
    }

    fn write(&mut self, number: u64) {
        let rows = rows(number.cast_signed());
        let table = encode(&rows).unwrap();
        let (kept, _) = version_of(None, "here", &table.digest);
        lock(self.tables.store.as_ref().unwrap()).write("t", &KeptTable { number, ..kept }, &table).unwrap();
    }

    /// As the driver does with what the refreshing thread tells.
    fn refreshed(&mut self, number: u64) {
        self.write(number);
        let table = &mut self.tables.tables[0];
        let version = Arc::new(TableVersion { number, rows: rows(number.cast_signed()) });
        let before = std::mem::replace(&mut table.newest, version);
        table.waiting.insert(before.number, before);
    }

    fn show(&mut self, batch: u64, number: u64) -> Result<u64, Failure> {
        self.tables.show(BatchId(batch), &BTreeMap::from([("t".to_owned(), number)]))?;
        let version = self.tables.tables[0].view.version();
        assert_eq!(version.rows, rows(version.number.cast_signed()));
        Ok(version.number)
    }

    fn is_kept(&self, number: u64) -> bool {
        lock(self.tables.store.as_ref().unwrap()).read("t", number).unwrap().is_some()
    }
}

#[test]
fn a_batch_sees_the_version_of_its_plan_though_a_newer_one_is_there() {
    let mut table = Table::new();
    table.refreshed(2);
    table.refreshed(3);
    assert_eq!(table.show(1, 1).unwrap(), 1);
    assert_eq!(table.show(2, 2).unwrap(), 2);
    assert_eq!(table.show(3, 3).unwrap(), 3);
    assert!(table.tables.tables[0].waiting.is_empty(), "what no plan can name is let go");
}

#[test]
fn a_plan_of_an_earlier_life_finds_its_version_in_the_file() {
    let mut table = Table::new();
    table.write(2);
    table.tables.tables[0].newest = Arc::new(TableVersion { number: 3, rows: rows(3) });
    assert_eq!(table.show(1, 1).unwrap(), 1);
    assert_eq!(table.show(2, 2).unwrap(), 2);
    let lost = table.show(3, 9).unwrap_err().to_string();
    assert!(lost.starts_with("table t: batch 3 saw version 9, and `tables.db`"), "{lost}");
    // A plan that does not know the table was made before the table was in the spec.
    table.tables.show(BatchId(4), &BTreeMap::new()).unwrap();
    assert_eq!(table.tables.tables[0].view.version().number, 3);
}

#[test]
fn a_version_is_forgotten_once_no_batch_that_saw_it_can_run_again() {
    let mut table = Table::new();
    table.refreshed(2);
    table.refreshed(3);
    table.show(1, 1).unwrap();
    table.show(2, 1).unwrap();
    table.show(3, 3).unwrap();
    table.tables.release(BatchId(1)).unwrap();
    assert!([1, 2, 3].iter().all(|number| table.is_kept(*number)), "batch 2 may run again");
    table.tables.release(BatchId(2)).unwrap();
    assert_eq!([1, 2, 3].map(|number| table.is_kept(number)), [false, false, true]);
    table.tables.release(BatchId(3)).unwrap();
    assert!(table.is_kept(3), "it is the one that is seen");
}

#[test]
fn the_same_rows_are_the_same_version() {
    let (first, is_new) = version_of(None, "here", "abc");
    assert!(is_new && first.number == 1);
    assert_eq!(version_of(Some(&first), "here", "abc"), (first.clone(), false));
    assert_eq!(version_of(Some(&first), "here", "def").0.number, 2);
    let (elsewhere, is_new) = version_of(Some(&first), "there", "abc");
    assert!(is_new && elsewhere.number == 2, "a table with another spec is another table");
}
