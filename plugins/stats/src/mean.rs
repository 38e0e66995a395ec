//! `mean`: a sum and a count of fixed width, changed in place.

use millstream_plugin::ColumnAggregate;
use millstream_plugin::prelude::*;

/// The mean of a numeric column, without its nulls.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct MeanSpec {
    /// The column: int32, int64, float32 or float64.
    column: String,
}

/// A sum and a count. A count is exact as a float up to 2^53.
type State = [f64; 2];

pub(crate) enum Mean {
    Int32(Key<Int32>),
    Int64(Key<Int64>),
    Float32(Key<Float32>),
    Float64(Key<Float64>),
}

pub(crate) fn mean(config: MeanSpec, input: &Schema) -> Result<Mean> {
    let name = &config.column;
    Ok(match input.field(name)?.data_type() {
        DataType::Int32 => Mean::Int32(input.key(name)?),
        DataType::Int64 => Mean::Int64(input.key(name)?),
        DataType::Float32 => Mean::Float32(input.key(name)?),
        DataType::Float64 => Mean::Float64(input.key(name)?),
        other => bail!("config.column: `{name}` is {other}; it must be a number"),
    })
}

impl Mean {
    /// Adds each number that is not null to its group.
    #[allow(clippy::cast_precision_loss, reason = "a mean is a float")]
    fn add(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()> {
        states.change_fixed::<State>(|states| {
            match self {
                Self::Int32(key) => each(states, groups, input.read(*key)?.iter(), f64::from),
                Self::Int64(key) => each(states, groups, input.read(*key)?.iter(), |n| n as f64),
                Self::Float32(key) => each(states, groups, input.read(*key)?.iter(), f64::from),
                Self::Float64(key) => each(states, groups, input.read(*key)?.iter(), |n| n),
            }
            Ok(())
        })
    }
}

fn each<T>(
    states: &mut [State],
    groups: &[u32],
    numbers: impl Iterator<Item = Option<T>>,
    float: impl Fn(T) -> f64,
) {
    for (group, number) in groups.iter().zip(numbers) {
        if let Some(number) = number {
            let [sum, count] = &mut states[*group as usize];
            *sum += float(number);
            *count += 1.0;
        }
    }
}

impl ColumnAggregate for Mean {
    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("mean", DataType::Float64).nullable()])
    }

    fn accumulate(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()> {
        self.add(states, groups, input)
    }

    fn merge(&self, states: &mut States, others: &States) -> Result<()> {
        let others = others.fixed::<State>()?;
        states.change_fixed::<State>(|states| {
            for ([sum, count], [more, counted]) in states.iter_mut().zip(others.iter()) {
                *sum += more;
                *count += counted;
            }
            Ok(())
        })
    }

    fn finish(&self, states: &States, out: &mut Output) -> Result<()> {
        let states = states.fixed::<State>()?;
        let mean = |[sum, count]: &State| (*count > 0.0).then(|| sum / count);
        out.set("mean", states.iter().map(mean).collect::<Float64Builder>())
    }
}

#[cfg(test)]
mod tests {
    use millstream_plugin::Result;
    use millstream_plugin::testing;
    use serde_json::{Value, json};

    use crate::plugin;

    fn mean(batches: Value) -> Result<Value> {
        let Value::Array(batches) = batches else { panic!("batches") };
        let batches = batches.into_iter().map(testing::batch).collect::<Result<Vec<_>>>()?;
        Ok(testing::aggregate(&plugin(), "mean", json!({"column": "n"}), &["k"], batches)?.rows())
    }

    #[test]
    fn a_mean_a_group_over_batches() {
        let batches = json!([
            [{"k": "a", "n": 1}, {"k": "b", "n": -3}, {"k": "a", "n": 2}],
            [{"k": "c", "n": 0}, {"k": "a", "n": 6}],
        ]);
        let expected = json!([{"k": "a", "mean": 3.0}, {"k": "b", "mean": -3.0}, {"k": "c", "mean": 0.0}]);
        assert_eq!(mean(batches).unwrap(), expected);
    }

    #[test]
    fn nulls_do_not_count() {
        let batches = json!([[{"k": 1, "n": 1.5}, {"k": 1, "n": null}, {"k": 2, "n": null}]]);
        assert_eq!(mean(batches).unwrap(), json!([{"k": 1, "mean": 1.5}, {"k": 2, "mean": null}]));
    }

    #[test]
    fn text_has_no_mean() {
        let error = mean(json!([[{"k": 1, "n": "x"}]])).unwrap_err();
        assert_eq!(error.message(), "config.column: `n` is utf8; it must be a number");
    }
}
