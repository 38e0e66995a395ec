//! A row's place: both columns have a value within bounds, or the row is null or rejected.

use millstream_plugin::columns::Numbers;
use millstream_plugin::prelude::*;
use millstream_plugin::schema::Key;

/// A place on Earth, in degrees.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(crate) struct Place {
    /// Latitude, -90 to 90.
    pub(crate) lat: f64,
    /// Longitude, -180 to 180.
    pub(crate) lon: f64,
}

impl Place {
    /// The place, when it is one.
    pub(crate) fn checked(self) -> Result<Self, String> {
        if !(-90.0..=90.0).contains(&self.lat) {
            return Err(format!("the latitude {} is not within -90 to 90", self.lat));
        }
        if !(-180.0..=180.0).contains(&self.lon) {
            return Err(format!("the longitude {} is not within -180 to 180", self.lon));
        }
        Ok(self)
    }
}

/// The two columns of the input.
#[derive(Clone, Copy)]
pub(crate) struct Coordinates {
    lat: Key<Float64>,
    lon: Key<Float64>,
}

impl Coordinates {
    pub(crate) fn new(input: &Schema, lat: &str, lon: &str) -> Result<Self> {
        Ok(Self { lat: input.key(lat)?, lon: input.key(lon)? })
    }

    /// Calls `each` with the place of each row, none when a coordinate is null. Rows with places
    /// that do not exist are rejected.
    pub(crate) fn places(
        self,
        batch: &Batch,
        out: &mut Output,
        mut each: impl FnMut(Option<Place>),
    ) -> Result<()> {
        let (lat, lon): (Numbers<'_, f64>, _) = (batch.read(self.lat)?, batch.read(self.lon)?);
        for (row, place) in lat.iter().zip(lon.iter()).enumerate() {
            match place {
                (Some(lat), Some(lon)) => match (Place { lat, lon }).checked() {
                    Ok(place) => each(Some(place)),
                    Err(reason) => out.reject(row, reason),
                },
                _ => each(None),
            }
        }
        Ok(())
    }
}
