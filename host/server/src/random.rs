//! Randomness from the operating system, for ids and tokens; nothing else in the server is random.

use std::fs::File;
use std::io::{self, Read};

/// `N` random bytes in hexadecimal.
///
/// # Errors
/// When the system gives none.
pub(crate) fn hex<const N: usize>() -> io::Result<String> {
    let mut bytes = [0_u8; N];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(to_hex(&bytes))
}

/// 64 random bits. The operating system gives them for as long as the machine is up.
pub(crate) fn word() -> u64 {
    let mut bytes = [0_u8; 8];
    let read = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
    read.expect("Linux always has /dev/urandom");
    u64::from_le_bytes(bytes)
}

/// Bytes in lower-case hexadecimal.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])
        .map(char::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_draws_differ() {
        let (one, two) = (hex::<16>().unwrap(), hex::<16>().unwrap());
        assert_eq!(one.len(), 32);
        assert_ne!(one, two);
    }

    #[test]
    fn bytes_become_two_digits_each() {
        assert_eq!(to_hex(&[0, 10, 255]), "000aff");
    }
}
