//! The kernels behind operators. Each takes all rows at once; where arrow's kernel stops at the first
//! bad row, a second pass finds the rows and goes on.

pub(super) mod arithmetic;
pub(super) mod cast;
pub(super) mod compare;
pub(super) mod logic;
pub(super) mod pattern;
pub(super) mod shift;
