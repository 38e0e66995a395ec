//! A null bitmap that costs nothing until the first null.

/// Bits of the rows up to the last null; all later rows are valid.
#[derive(Clone, Debug, Default)]
pub(super) struct ValidityBuilder {
    bits: Vec<u8>,
}

impl ValidityBuilder {
    /// Marks `row` as null. Rows never named are valid.
    pub(super) fn null(&mut self, row: usize) {
        if self.bits.len() <= row / 8 {
            self.bits.resize(row / 8 + 1, 0xff);
        }
        self.bits[row / 8] &= !(1 << (row % 8));
    }

    /// The bitmap of `rows` rows, its unused last bits 0; empty when nothing is null.
    pub(super) fn finish(mut self, rows: usize) -> Vec<u8> {
        if self.bits.is_empty() {
            return self.bits;
        }
        self.bits.resize(rows.div_ceil(8), 0xff);
        if let (Some(last), used @ 1..) = (self.bits.last_mut(), rows % 8) {
            *last &= (1 << used) - 1;
        }
        self.bits
    }
}
