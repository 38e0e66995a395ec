//! Aggregates and keyed operators from config to output, natively, and what the kit refuses.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::*;
use crate::aggregate::{Aggregate, Fold, fold};
use crate::keyed::{KeyView, Keyed, read_state};
use crate::operator::Transform;
use crate::records::Records;
use crate::rows::Row;
use crate::schema::{DataType, Field};
use crate::testing::batch;

/// Takes nothing.
#[derive(Deserialize, schemars::JsonSchema)]
struct Nothing {}

fn longest(_: Nothing, _: &Schema) -> Result<Fold<i64, Option<i64>>> {
    let length = |row: Row<'_>| Ok::<_, Error>(row.text("s")?.map_or(0, str::len) as i64);
    let add = move |longest: &mut i64, row: Row<'_>| {
        *longest = (*longest).max(length(row)?);
        Ok(())
    };
    let result = |longest| (longest > 0).then_some(longest);
    let field = Field::new("longest", DataType::Int64).nullable();
    Ok(fold(field, add, |longest: &mut i64, other| *longest = (*longest).max(other), result))
}

/// Pushes no record, or two.
struct Odd(usize);

impl Aggregate for Odd {
    type State = u8;

    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("n", DataType::Int64)])
    }

    fn accumulate(&self, _: &mut u8, _: Row<'_>) -> Result<()> {
        Ok(())
    }

    fn merge(&self, _: &mut u8, _: u8) -> Result<()> {
        Ok(())
    }

    fn finish(&self, _: u8, out: &mut Records) -> Result<()> {
        (0..self.0).try_for_each(|i| out.push((i as i64,)))
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Seen {
    words: Vec<String>,
}

/// Collects words, gives them up at `flush`, and does what is wrong when a word says so.
struct Collect;

impl Keyed for Collect {
    type State = Seen;

    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("words", DataType::Utf8), Field::new("at", DataType::Int64)])
    }

    fn on_row(&self, key: &mut KeyView<'_, Seen>, row: Row<'_>) -> Result<()> {
        match row.text("s")?.unwrap_or_default() {
            "reject" => key.reject(row, "no"),
            "forget" => *key.state = None,
            "short" => key.emit(("x",))?,
            "refuse" => crate::bail!("refused for {:?}", key.columns().integer("k")?),
            word => {
                key.state.get_or_insert_default().words.push(word.to_owned());
                key.set_timer(1_000);
                key.set_timer(10 * key.state.as_ref().map_or(0, |seen| seen.words.len()) as i64);
            }
        }
        Ok(())
    }

    fn on_timer(&self, key: &mut KeyView<'_, Seen>, at: i64) -> Result<()> {
        let seen = key.state.take().unwrap_or_default();
        key.emit((seen.words.join(" "), at))
    }

    fn migrate(&self, from_version: &str, state: &[u8]) -> Result<Option<Seen>> {
        match from_version {
            "1.0.0" => Ok(read_state::<String>(state).map(|word| Some(Seen { words: vec![word] }))?),
            "0.9.0" => Ok(None),
            _ => read_state(state).map(Some),
        }
    }
}

/// Sets a timer and has nothing for it.
struct Timeless;

impl Keyed for Timeless {
    type State = ();

    fn output(&self) -> Result<Schema> {
        Ok(Schema::default())
    }

    fn on_row(&self, key: &mut KeyView<'_, ()>, _: Row<'_>) -> Result<()> {
        key.set_timer(0);
        Ok(())
    }
}

crate::plugin! {
    name: "kinds",
    summary: "All kinds.",
    operators: [
        keyed "collect" => |_: Nothing, _: &Schema, _: &Schema| Ok(Collect),
        transform "same" => |_: Nothing, input: &Schema| Ok(Transform::new(input.clone(), |batch, out| {
            out.keep(batch);
            Ok(())
        })),
        aggregate "longest" => longest,
        aggregate "none" => |_: Nothing, _: &Schema| Ok(Odd(0)),
        aggregate "two" => |_: Nothing, _: &Schema| Ok(Odd(2)),
        keyed "timeless" => |_: Nothing, _: &Schema, _: &Schema| Ok(Timeless),
    ],
}

fn words(rows: &[(i64, &str)]) -> Batch {
    batch(rows.iter().map(|(k, s)| json!({"k": k, "s": s})).collect()).unwrap()
}

fn keeper(operator: &str) -> Keeper {
    Keeper::open(&plugin(), operator, json!({}), &["k"], words(&[(1, "a")]).schema()).unwrap()
}

#[test]
fn batches_are_merged_whatever_groups_they_have() {
    let batches = [words(&[(1, "abc"), (2, "")]), words(&[(3, "x"), (1, "ab")])];
    let ran = aggregate(&plugin(), "longest", json!({}), &["k"], batches).unwrap();
    let expected = json!([{"k": 1, "longest": 3}, {"k": 2, "longest": null}, {"k": 3, "longest": 1}]);
    assert_eq!(ran.rows(), expected);
}

#[test]
fn an_aggregate_gives_one_record_a_group_and_retracts_only_if_it_can() {
    for operator in ["none", "two"] {
        let error = aggregate(&plugin(), operator, json!({}), &["k"], [words(&[(1, "a")])]).unwrap_err();
        assert_eq!(error.message(), "`finish` must push exactly one record");
    }
    let input = words(&[(1, "a")]);
    let error = aggregate_and_retract(&plugin(), "longest", json!({}), &["k"], &input, &input).unwrap_err();
    assert_eq!(error.message(), "this aggregate cannot undo a merge");
    assert!(plugin().operators.iter().all(|operator| !operator.retracts()));
}

#[test]
fn an_operator_is_opened_as_what_it_is() {
    let schema = words(&[(1, "a")]).schema().clone();
    let error = plugin().open("longest", "{}", &schema).unwrap_err();
    assert_eq!(error.message(), "the operator `longest` is of the kind aggregate, not transform");
    let error = plugin().open_keyed("same", "{}", &schema, &schema).unwrap_err();
    assert_eq!(error.message(), "the operator `same` is of the kind transform, not keyed");
    let error = plugin().open_aggregate("longst", "{}", &schema).unwrap_err();
    assert!(error.message().contains("did you mean `longest`?"), "{error}");
}

#[test]
fn keys_have_states_and_timers_of_their_own() {
    let mut keeper = keeper("collect");
    let ran = keeper.turn(None, words(&[(1, "a"), (2, "b"), (1, "c"), (2, "reject")])).unwrap();
    assert_eq!((ran.rows(), ran.reasons()), (json!([]), vec![(3, "no")]));
    // The last timer of a key counts.
    assert_eq!(keeper.timers(), [10, 20]);
    // What is due comes before the rows, and the key is in front of the output.
    let ran = keeper.turn(Some(20), words(&[(2, "d"), (1, "e")])).unwrap();
    assert_eq!(ran.rows(), json!([{"k": 1, "words": "a c", "at": 20}, {"k": 2, "words": "b", "at": 10}]));
    assert_eq!((keeper.states(), keeper.timers()), (2, vec![10, 10]));
    keeper.turn(None, words(&[(1, "forget")])).unwrap();
    // A timer outlives the state.
    assert_eq!((keeper.states(), keeper.timers()), (1, vec![10, 10]));
    assert_eq!(keeper.advance(10).unwrap().rows()[0], json!({"k": 1, "words": "", "at": 10}));
}

#[test]
fn what_a_keyed_operator_does_wrong_refuses_the_turn() {
    let mut collect = keeper("collect");
    let refused = collect.turn(None, words(&[(7, "refuse")])).unwrap_err();
    assert_eq!(refused.message(), "refused for Some(7)");
    let short = collect.turn(None, words(&[(7, "short")])).unwrap_err();
    assert_eq!(short.message(), "a row of 1 values for the columns words, at");
    assert_eq!(collect.states(), 0);
    let mut timeless = keeper("timeless");
    timeless.turn(None, words(&[(1, "a")])).unwrap();
    assert!(timeless.advance(0).unwrap_err().message().contains("no `on_timer`"));
}

#[test]
fn output_that_would_hide_the_key_is_refused() {
    let schema = Schema::of([Field::new("words", DataType::Int64), Field::new("s", DataType::Utf8)]).unwrap();
    let error = Keeper::open(&plugin(), "collect", json!({}), &["words"], &schema).unwrap_err();
    assert!(error.message().contains("two columns called `words`"), "{error}");
}

#[test]
fn states_of_earlier_versions_are_read() {
    let schema = words(&[(1, "a")]).schema().clone();
    let opened = plugin().open_keyed("collect", "{}", &schema, &schema).unwrap();
    let mut old = States::none(2);
    old.encode([Some(&"a".to_owned()), None]).unwrap();
    let migrate = |version: &str| opened.migrate(version, old.clone().into_column()).map(States::new);
    let migrated = migrate("1.0.0").unwrap().unwrap().decode::<Seen>().unwrap();
    assert_eq!(migrated, [Some(Seen { words: vec!["a".to_owned()] }), None]);
    assert_eq!(migrate("0.9.0").unwrap().unwrap().decode::<Seen>().unwrap(), [None, None]);
    let error = migrate("2.0.0").unwrap_err();
    assert!(error.message().starts_with("state 0: "), "{error}");
}
