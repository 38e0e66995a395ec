//! `mean`: an aggregate over columns, whose states are two numbers changed in place.

use millstream_plugin::ColumnAggregate;
use millstream_plugin::prelude::*;

/// The mean of a numeric column, without its nulls.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MeanConfig {
    /// The column, int64 or float64.
    column: String,
}

pub(crate) enum Mean {
    Int64(Key<Int64>),
    Float64(Key<Float64>),
}

pub(crate) fn mean(config: MeanConfig, input: &Schema) -> Result<Mean> {
    let name = &config.column;
    Ok(match input.field(name)?.data_type() {
        DataType::Int64 => Mean::Int64(input.key(name)?),
        _ => Mean::Float64(input.key(name)?),
    })
}

/// A sum and a count.
type State = [f64; 2];

fn add(states: &mut [State], groups: &[u32], numbers: impl Iterator<Item = Option<f64>>) {
    for (group, number) in groups.iter().zip(numbers) {
        if let Some(number) = number {
            let [sum, count] = &mut states[*group as usize];
            *sum += number;
            *count += 1.0;
        }
    }
}

impl ColumnAggregate for Mean {
    fn output(&self) -> Result<Schema> {
        Schema::of([Field::new("mean", DataType::Float64).nullable()])
    }

    #[allow(clippy::cast_precision_loss, reason = "a mean is a float")]
    fn accumulate(&self, states: &mut States, groups: &[u32], input: &Batch) -> Result<()> {
        states.change_fixed::<State>(|states| {
            match self {
                Self::Int64(key) => {
                    add(states, groups, input.read(*key)?.iter().map(|number| Some(number? as f64)));
                }
                Self::Float64(key) => add(states, groups, input.read(*key)?.iter()),
            }
            Ok(())
        })
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
