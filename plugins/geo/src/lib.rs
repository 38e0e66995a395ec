//! Operators on coordinates in degrees (WGS 84). Plain arithmetic over two columns of float64.

use millstream_plugin::plugin;

mod coordinates;
mod distance;
mod geohash;

plugin! {
    summary: "Distances and cells from coordinates.",
    operators: [transform "distance" => distance::distance, transform "geohash" => geohash::geohash],
}
