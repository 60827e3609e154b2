//! An amount of memory, in the notation of Kubernetes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::finding::quote;

/// The minimum that Envoy needs: with the module, it uses about 100 MiB before the
/// first request.
const LEAST: u64 = 256 << 20;

/// The memory that Envoy may use, written as in `1Gi`, `512Mi` or in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Memory(u64);

impl Memory {
    /// `None` if this is less than the minimum.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        (bytes >= LEAST).then_some(Self(bytes))
    }

    /// The amount in bytes.
    pub fn bytes(self) -> u64 {
        self.0
    }
}

/// Not a valid amount of memory, or too little.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{} is not an amount of memory of 256Mi or more; write it as in 1Gi, 512Mi or in bytes", quote(.0))]
pub struct MemoryError(String);

/// The suffixes of Kubernetes quantities that mean a whole number of bytes.
const UNITS: [(&str, u64); 8] = [
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
    ("k", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
];

impl FromStr for Memory {
    type Err = MemoryError;

    fn from_str(text: &str) -> Result<Self, MemoryError> {
        let of_unit = |(suffix, unit): (&str, u64)| Some((text.strip_suffix(suffix)?, unit));
        let (number, unit) = UNITS.into_iter().find_map(of_unit).unwrap_or((text, 1));
        // `parse` would accept a `+`.
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number = number.parse::<u64>().ok().filter(|_| is_number);
        let bytes = number.and_then(|number| number.checked_mul(unit));
        bytes.and_then(Self::from_bytes).ok_or_else(|| MemoryError(text.into()))
    }
}

impl TryFrom<String> for Memory {
    type Error = MemoryError;

    fn try_from(text: String) -> Result<Self, MemoryError> {
        text.parse()
    }
}

impl From<Memory> for String {
    fn from(memory: Memory) -> Self {
        memory.to_string()
    }
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_written_as_kubernetes_does() {
        for (text, bytes) in [
            ("268435456", 268_435_456),
            ("256Mi", 268_435_456),
            ("1Gi", 1 << 30),
            ("1048576Ki", 1 << 30),
            ("2Ti", 2 << 40),
            ("500M", 500_000_000),
            ("1G", 1_000_000_000),
        ] {
            let memory = text.parse::<Memory>().unwrap();
            assert_eq!(memory.bytes(), bytes, "{text}");
            assert_eq!(String::from(memory).parse(), Ok(memory));
        }
        for bad in ["", "Gi", "255Mi", "1", "-1Gi", "+1Gi", "1.5Gi", "1gi", "1 Gi", "99999999Ti"] {
            assert!(bad.parse::<Memory>().is_err(), "{bad}");
        }
    }
}
