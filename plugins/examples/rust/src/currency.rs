//! `currency`: a transform that adds a column to those it is given.

use millstream_plugin::prelude::*;

/// Multiplies a column of prices by a rate.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Currency {
    /// The column of prices, float64.
    column: String,
    /// What a price is multiplied by.
    rate: f64,
    /// The name of the new column.
    #[serde(default = "converted")]
    output: String,
}

fn converted() -> String {
    "converted".to_owned()
}

pub(crate) fn currency(config: Currency, input: &Schema) -> Result<Transform> {
    let column = input.key::<Float64>(&config.column)?;
    let output = input.clone().with(Field::new(&config.output, DataType::Float64).nullable())?;
    Ok(Transform::new(output, move |batch, out| {
        let prices = batch.read(column)?;
        let converted: Float64Builder = prices.iter().map(|price| Some(price? * config.rate)).collect();
        out.set(&config.output, converted)?;
        out.keep(batch);
        Ok(())
    }))
}
