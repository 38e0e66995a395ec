//! What a user downloads.

/// Bytes of the release binary that are promised at most.
const BINARY_BYTES_MAX: u64 = 60_000_000;

#[test]
fn the_binary_has_at_most_60_mb() {
    let binary = millstream_tests::binary();
    let bytes = std::fs::metadata(&binary).expect("the binary was built").len();
    assert!(
        bytes <= BINARY_BYTES_MAX,
        "{} has {bytes} bytes, more than {BINARY_BYTES_MAX}: see the profiles for single packages in Cargo.toml",
        binary.display()
    );
}
