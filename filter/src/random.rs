//! Random picks. Each uses one random number, so that a fixed number makes a
//! decision reproducible.

/// The unit of `per_million`.
pub(crate) const MILLION: u32 = 1_000_000;

/// Whether a random number selects a request at this rate. The greatest numbers do, so
/// that 0 selects it only at the full rate.
pub(crate) fn hits(random: u64, per_million: u32) -> bool {
    let million = u64::from(MILLION);
    random % million >= million.saturating_sub(u64::from(per_million))
}

#[cfg(test)]
mod tests {
    use super::hits;

    #[test]
    fn of_a_million_numbers_as_many_hit_as_asked() {
        for per_million in [0, 1, 250_000, 999_999, 1_000_000] {
            let count = (0..1_000_000).filter(|random| hits(*random, per_million)).count();
            assert_eq!(count, usize::try_from(per_million).unwrap());
        }
        assert!(!hits(0, 999_999) && hits(0, 1_000_000) && !hits(u64::MAX, 0));
    }
}
