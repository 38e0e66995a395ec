//! The share of rows in which something is true. The state is what the rows of a group come to: the host keeps it, and adds
//! up the parts of its workers with `merge`.

use millstream_plugin::prelude::*;

/// The share of rows in which a column is true.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Share {
    /// The boolean column; nulls do not count.
    column: String,
}

impl Aggregate for Share {
    /// How many are true, and how many there are.
    type State = (i64, i64);

    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("share", DataType::Float64).nullable()])
    }

    fn accumulate(&self, (yes, all): &mut (i64, i64), row: Row) -> Result<()> {
        if let Some(value) = row.boolean(&self.column)? {
            (*yes, *all) = (*yes + i64::from(value), *all + 1);
        }
        Ok(())
    }

    fn merge(&self, (yes, all): &mut (i64, i64), other: (i64, i64)) -> Result<()> {
        (*yes, *all) = (*yes + other.0, *all + other.1);
        Ok(())
    }

    fn finish(&self, (yes, all): (i64, i64), out: &mut Records) -> Result<()> {
        out.push(((all > 0).then(|| yes as f64 / all as f64),))
    }
}

/// Called once for each instance: checks the config against the input's columns.
fn share(config: Share, input: &Schema) -> Result<Share> {
    input.key::<Boolean>(&config.column)?;
    Ok(config)
}

plugin! { summary: "Shares.", operators: [aggregate "share" => share] }

#[cfg(test)]
mod tests {
    use millstream_plugin::testing;
    use serde_json::json;

    #[test]
    fn shares_of_several_batches_are_merged() {
        let batches = [
            json!([{ "shop": "a", "late": true }, { "shop": "b", "late": null }]),
            json!([{ "shop": "a", "late": false }]),
        ];
        let batches = batches.map(|rows| testing::batch(rows).unwrap());
        let ran = testing::aggregate(&crate::plugin(), "share", json!({ "column": "late" }), &["shop"], batches).unwrap();
        assert_eq!(ran.rows(), json!([{ "shop": "a", "share": 0.5 }, { "shop": "b", "share": null }]));
    }
}
