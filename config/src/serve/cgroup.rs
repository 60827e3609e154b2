//! The memory limit of this process, which includes Envoy.

use std::fs;
use std::path::Path;

use crate::settings::Memory;

/// The smallest limit of the control groups that contain this process; `None` if there
/// is no limit, or one that is too small for Envoy.
pub(super) fn memory_limit() -> Option<Memory> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    // Version 2 has one hierarchy; each group's limit also applies to the groups in it.
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let root = Path::new("/sys/fs/cgroup");
    let folder = root.join(group);
    let within = folder.ancestors().take_while(|folder| folder.starts_with(root));
    let limits =
        within.filter_map(|folder| parse(&fs::read_to_string(folder.join("memory.max")).ok()?));
    limits.min().and_then(Memory::from_bytes)
}

/// Parses `memory.max`: `max`, or a number of bytes.
fn parse(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_bytes() {
        assert_eq!(parse("max\n"), None);
        assert_eq!(parse("1073741824\n"), Some(1 << 30));
    }
}
