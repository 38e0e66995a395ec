//! `geohash`: the cell a row lies in, as text to group by.

use millstream_plugin::prelude::*;

use crate::coordinates::{Coordinates, Place};

/// Geohash's own digits: no a, i, l, o.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// More would tell apart less than four centimetres.
const PRECISION_MAX: usize = 12;

/// Adds the geohash cell of a place.
///
/// Cells of precision 5 are about 5 km wide, of 6 about 1 km. Null coordinates give a null.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Geohash {
    /// The column of latitudes.
    #[serde(default = "lat")]
    lat: String,
    /// The column of longitudes.
    #[serde(default = "lon")]
    lon: String,
    /// Characters of the hash, 1 to 12.
    #[serde(default = "precision")]
    #[schemars(range(min = 1, max = 12))]
    precision: usize,
    /// The name of the new column.
    #[serde(default = "cell")]
    output: String,
}

fn lat() -> String {
    "lat".to_owned()
}

fn lon() -> String {
    "lon".to_owned()
}

fn precision() -> usize {
    6
}

fn cell() -> String {
    "cell".to_owned()
}

pub(crate) fn geohash(config: Geohash, input: &Schema) -> Result<Transform> {
    let coordinates = Coordinates::new(input, &config.lat, &config.lon)?;
    if !(1..=PRECISION_MAX).contains(&config.precision) {
        bail!("config.precision is {}; it must be 1 to {PRECISION_MAX}", config.precision);
    }
    let output = input.clone().with(Field::new(&config.output, DataType::Utf8).nullable())?;
    Ok(Transform::new(output, move |batch, out| {
        let mut cells = Utf8Builder::with_capacity(batch.len(), batch.len() * config.precision);
        coordinates.places(&batch, out, |place| match place {
            Some(place) => {
                hash(place, config.precision).for_each(|digit| cells.append(digit));
                cells.end_value();
            }
            None => cells.push_null(),
        })?;
        out.set(&config.output, cells)?;
        out.keep(batch);
        Ok(())
    }))
}

/// The digits of the cell: bits of longitude and latitude in turn, five a digit.
fn hash(place: Place, precision: usize) -> impl Iterator<Item = &'static str> {
    const DIGIT_BITS: usize = 5;
    let all = std::str::from_utf8(DIGITS).unwrap_or_default();
    let (mut lon, mut lat) = ((-180.0, 180.0), (-90.0, 90.0));
    (0..precision).map(move |digit| {
        let number = (0..DIGIT_BITS).fold(0, |number, bit| {
            let even = (digit * DIGIT_BITS + bit).is_multiple_of(2);
            number * 2 + if even { halve(&mut lon, place.lon) } else { halve(&mut lat, place.lat) }
        });
        &all[number..=number]
    })
}

/// Halves the range to the side where the value is: 1 for the upper.
fn halve(range: &mut (f64, f64), value: f64) -> usize {
    let middle = f64::midpoint(range.0, range.1);
    let upper = value >= middle;
    *range = if upper { (middle, range.1) } else { (range.0, middle) };
    usize::from(upper)
}

#[cfg(test)]
mod tests {
    use millstream_plugin::testing;
    use serde_json::json;

    use crate::plugin;

    #[test]
    fn known_cells() {
        let rows = json!([
            {"lat": 57.64911, "lon": 10.40744}, {"lat": -90.0, "lon": -180.0}, {"lat": 90.0, "lon": 180.0}, {"lat": null, "lon": 0.5}
        ]);
        let config = json!({"precision": 11});
        let ran = testing::run(&plugin(), "geohash", config, testing::batch(rows).unwrap()).unwrap().rows();
        let cells: Vec<_> = ran.as_array().unwrap().iter().map(|row| row["cell"].clone()).collect();
        assert_eq!(cells, [json!("u4pruydqqvj"), json!("00000000000"), json!("zzzzzzzzzzz"), json!(null)]);
    }

    #[test]
    fn precision_has_bounds() {
        let rows = testing::batch(json!([{"lat": 1.5, "lon": 0.5}])).unwrap();
        let error = testing::run(&plugin(), "geohash", json!({"precision": 13}), rows).unwrap_err();
        assert_eq!(error.message(), "config.precision is 13; it must be 1 to 12");
    }
}
