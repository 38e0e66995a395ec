//! Converts prices. A price below zero is handed back with the reason: it becomes a dead letter, and the rows
//! around it go on.

use millstream_plugin::prelude::*;

/// Adds converted prices.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Convert {
    /// The float64 column of prices.
    column: String,
    /// What one of them is worth.
    rate: f64,
}

/// Called once for each instance: checks the config against the input's columns and says what comes out.
fn convert(config: Convert, input: &Schema) -> Result<Transform> {
    let column = input.key::<Float64>(&config.column)?;
    let output = input.clone().with(Field::new("converted", DataType::Float64).nullable())?;
    // Called for each batch.
    Ok(Transform::new(output, move |batch, out| {
        let mut converted = Float64Builder::with_capacity(batch.len());
        for (row, price) in batch.read(column)?.iter().enumerate() {
            match price {
                Some(price) if price < 0.0 => out.reject(row, format!("the price is {price}")),
                Some(price) => converted.push(price * config.rate),
                None => converted.push_null(),
            }
        }
        out.set("converted", converted)?;
        out.keep(batch);
        Ok(())
    }))
}

plugin! { summary: "Prices.", operators: [transform "convert" => convert] }

#[cfg(test)]
mod tests {
    use millstream_plugin::testing;
    use serde_json::json;

    #[test]
    fn prices_are_converted_nulls_stay_and_what_is_below_zero_is_rejected() {
        let input = testing::batch(json!([{ "price": 2.0 }, { "price": -1.0 }, { "price": null }])).unwrap();
        let config = json!({ "column": "price", "rate": 3.0 });
        let ran = testing::run(&crate::plugin(), "convert", config, input).unwrap();
        assert_eq!(ran.rows(), json!([{ "price": 2.0, "converted": 6.0 }, { "price": null, "converted": null }]));
        assert_eq!(ran.reasons(), [(1, "the price is -1")]);
    }
}
