//! Durations: protobuf JSON (`4s`, `0.5s`), and combinations of `h`, `m`, `s` and
//! `ms` (`1m30s`).

const NANOS_PER_MS: u64 = 1_000_000;

/// The milliseconds of a duration with a unit, from one to `u32::MAX` (49 days).
/// Fractions of a millisecond are discarded.
///
/// ```
/// use ingress_filter::duration;
///
/// assert_eq!(duration::parse(b"1m30s"), Some(90_000));
/// assert_eq!(duration::parse(b"0.5s"), Some(500));
/// assert_eq!(duration::parse(b"15"), None, "it has no unit");
/// ```
pub fn parse(text: &[u8]) -> Option<u32> {
    let mut rest = text;
    let mut nanos: u64 = 0;
    while !rest.is_empty() {
        let (component, after) = parse_component(rest)?;
        nanos = nanos.checked_add(component)?;
        rest = after;
    }
    u32::try_from(nanos / NANOS_PER_MS).ok().filter(|ms| *ms > 0)
}

/// Same as [`parse`], or a whole number of milliseconds: the syntax for clients' headers.
pub fn parse_header(value: &[u8]) -> Option<u32> {
    parse_number(value).filter(|ms| *ms > 0).or_else(|| parse(value))
}

/// A whole number without sign.
pub fn parse_number(text: &[u8]) -> Option<u32> {
    // `parse` would accept a `+`.
    text.first().filter(|byte| byte.is_ascii_digit())?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// The nanoseconds of the quantity, such as `1.5s`, at the start of `text`, and the rest.
fn parse_component(text: &[u8]) -> Option<(u64, &[u8])> {
    let (whole, rest) = split_digits(text);
    let (fraction, rest) = match rest.strip_prefix(b".") {
        Some(rest) => split_digits(rest),
        None => (&[][..], rest),
    };
    let is_dot_alone = rest.len() + whole.len() != text.len() && fraction.is_empty();
    if whole.is_empty() || is_dot_alone || fraction.len() > 9 {
        return None;
    }
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    let (unit, rest) = rest.split_at_checked(letters)?;
    let unit: u64 = match unit {
        b"ms" => NANOS_PER_MS,
        b"s" => 1_000 * NANOS_PER_MS,
        b"m" => 60_000 * NANOS_PER_MS,
        b"h" => 3_600_000 * NANOS_PER_MS,
        _ => return None,
    };
    let mut nanos = u64::from(parse_number(whole)?).checked_mul(unit)?;
    let mut place = unit;
    for digit in fraction {
        place /= 10;
        nanos = nanos.checked_add(u64::from(digit.wrapping_sub(b'0')).checked_mul(place)?)?;
    }
    Some((nanos, rest))
}

fn split_digits(text: &[u8]) -> (&[u8], &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    text.split_at_checked(digits).unwrap_or((text, &[]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, ms) in [
            ("4s", 4_000),
            ("0.5s", 500),
            ("1500ms", 1_500),
            ("1.5s", 1_500),
            ("1m30s", 90_000),
            ("1h2m3s4ms", 3_723_004),
            ("0.001s", 1),
            ("1.999999ms", 1),
            ("4.000000000s", 4_000),
            ("0s1ms", 1),
            ("4294967295ms", u32::MAX),
        ] {
            assert_eq!(parse(text.as_bytes()), Some(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_none() {
        for text in [
            "",
            "4",
            "s",
            ".5s",
            "4.s",
            "4 s",
            "-4s",
            "+4s",
            "4S",
            "4us",
            "4sx",
            "0s",
            "0.0009s",
            "0ms",
            "4294967296ms",
            "99999999999s",
            "1e3s",
            "4s ",
            "4,5s",
            "1.0000000000s",
            "4.5",
            "\u{664}s",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_header_may_be_milliseconds() {
        for (text, ms) in [("250", Some(250)), ("2s", Some(2_000)), ("0", None), ("+5", None)] {
            assert_eq!(parse_header(text.as_bytes()), ms, "{text}");
        }
        for bad in [&b"\xff"[..], b"", b" 5", b"5 ", b"-1", b"4294967296", b"1.5"] {
            assert_eq!(parse_header(bad), None, "{bad:?}");
        }
    }
}
