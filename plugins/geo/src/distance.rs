//! `distance`: how far a row is from a fixed place.

use millstream_plugin::prelude::*;

use crate::coordinates::{Coordinates, Place};

/// The mean radius; a sphere is at most 0.5 % off.
const EARTH_KM: f64 = 6371.0088;

/// Adds the great-circle distance to a place, in kilometres.
///
/// Null coordinates give a null; coordinates that do not exist reject the row.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct Distance {
    /// The column of latitudes.
    #[serde(default = "lat")]
    lat: String,
    /// The column of longitudes.
    #[serde(default = "lon")]
    lon: String,
    /// Where to measure to.
    to: Place,
    /// The name of the new column.
    #[serde(default = "distance_km")]
    output: String,
}

fn lat() -> String {
    "lat".to_owned()
}

fn lon() -> String {
    "lon".to_owned()
}

fn distance_km() -> String {
    "distance_km".to_owned()
}

pub(crate) fn distance(config: Distance, input: &Schema) -> Result<Transform> {
    let coordinates = Coordinates::new(input, &config.lat, &config.lon)?;
    let to = config.to.checked().map_err(|error| Error::new(error).within("config.to"))?;
    let output = input.clone().with(Field::new(&config.output, DataType::Float64).nullable())?;
    Ok(Transform::new(output, move |batch, out| {
        let mut distances = Float64Builder::with_capacity(batch.len());
        coordinates
            .places(&batch, out, |place| distances.push_option(place.map(|from| haversine_km(from, to))))?;
        out.set(&config.output, distances)?;
        out.keep(batch);
        Ok(())
    }))
}

fn haversine_km(from: Place, to: Place) -> f64 {
    let half_sine = |a: f64, b: f64| ((b - a).to_radians() / 2.0).sin().powi(2);
    let across = from.lat.to_radians().cos() * to.lat.to_radians().cos() * half_sine(from.lon, to.lon);
    // Rounding may lead just above 1 for opposite places.
    2.0 * EARTH_KM * (half_sine(from.lat, to.lat) + across).min(1.0).sqrt().asin()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::PI;

    use millstream_plugin::testing;
    use serde_json::{Value, json};

    use super::EARTH_KM;
    use crate::plugin;

    fn km(from: Value, to: Value) -> f64 {
        let ran =
            testing::run(&plugin(), "distance", json!({"to": to}), testing::batch(json!([from])).unwrap());
        ran.unwrap().rows()[0]["distance_km"].as_f64().unwrap()
    }

    #[test]
    fn known_distances() {
        let (berlin, paris) = (json!({"lat": 52.52, "lon": 13.405}), json!({"lat": 48.8566, "lon": 2.3522}));
        assert!((km(berlin.clone(), paris) - 877.5).abs() < 1.0);
        assert_eq!(km(berlin.clone(), berlin), 0.0);
        let opposite = km(json!({"lat": 0.5, "lon": 90.25}), json!({"lat": -0.5, "lon": -89.75}));
        assert!((opposite - PI * EARTH_KM).abs() < 1e-3);
        let across_the_date_line = km(json!({"lat": 0.5, "lon": 179.5}), json!({"lat": 0.5, "lon": -179.5}));
        assert!((across_the_date_line - 111.19).abs() < 0.1);
    }

    #[test]
    fn nulls_stay_and_impossible_places_are_rejected() {
        let rows = json!([{"lat": 91.5, "lon": 0.5}, {"lat": null, "lon": 0.5}, {"lat": 1.5, "lon": 0.5}]);
        let config = json!({"to": {"lat": 1.5, "lon": 0.5}, "output": "km"});
        let ran = testing::run(&plugin(), "distance", config, testing::batch(rows).unwrap()).unwrap();
        assert_eq!(
            ran.rows(),
            json!([{"lat": null, "lon": 0.5, "km": null}, {"lat": 1.5, "lon": 0.5, "km": 0.0}])
        );
        assert_eq!(ran.reasons(), [(0, "the latitude 91.5 is not within -90 to 90")]);
    }

    #[test]
    fn a_place_to_measure_to_must_exist() {
        let rows = testing::batch(json!([{"lat": 1.5, "lon": 0.5}])).unwrap();
        let error =
            testing::run(&plugin(), "distance", json!({"to": {"lat": 0, "lon": 181}}), rows).unwrap_err();
        assert_eq!(error.message(), "config.to: the longitude 181 is not within -180 to 180");
    }
}
