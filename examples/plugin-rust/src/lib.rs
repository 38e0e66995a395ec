use millstream_plugin::prelude::*;

/// Adds the energy of an earthquake in joules.
#[derive(Deserialize, JsonSchema)]
struct Energy { mag: String }

fn energy(config: Energy, input: &Schema) -> Result<Transform> {
    let mag = input.key::<Float64>(&config.mag)?;
    Ok(Transform::new(input.clone().with(Field::new("joules", DataType::Float64).nullable())?, move |batch, out| {
        out.set("joules", batch.read(mag)?.iter().map(|mag| Some(10f64.powf(1.5 * mag? + 4.8))).collect::<Float64Builder>())?;
        counter("earthquakes").add(batch.len() as u64);
        log!(Level::Info, "{} earthquakes in batch {}", batch.len(), batch.clock().batch_id);
        out.keep(batch);
        Ok(())
    }))
}

plugin! { summary: "Physics of earthquakes.", operators: [transform "energy" => energy] }
