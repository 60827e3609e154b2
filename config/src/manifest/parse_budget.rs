//! Limits the content of one file, so that no manifest exhausts the memory.

use super::yaml::Cause;

/// The maximum number of values in one file; an Ingress path takes eight.
pub const MAX_NODES: usize = 2_000_000;
/// The maximum number of values that aliases may repeat in one file.
pub const MAX_COPIED_NODES: usize = 250_000;
/// The maximum number of bytes that aliases may repeat in one file.
pub const MAX_COPIED_BYTES: usize = 16 << 20;

/// The remaining budget of one file, shared by its documents.
#[derive(Clone, Debug)]
pub struct ParseBudget {
    nodes: usize,
    copied: Weight,
}

impl Default for ParseBudget {
    fn default() -> Self {
        let copied = Weight { nodes: MAX_COPIED_NODES, bytes: MAX_COPIED_BYTES, depth: 0 };
        Self { nodes: MAX_NODES, copied }
    }
}

impl ParseBudget {
    #[cfg(test)]
    pub(super) fn of(nodes: usize) -> Self {
        Self { nodes, ..Self::default() }
    }

    /// Counts one more value.
    pub(super) fn add(&mut self) -> Result<(), Cause> {
        self.nodes = self.nodes.checked_sub(1).ok_or(Cause::Nodes)?;
        Ok(())
    }

    /// Counts a value that is copied for an anchor or alias.
    pub(super) fn copy(&mut self, weight: Weight) -> Result<(), Cause> {
        self.copied.nodes = self.copied.nodes.checked_sub(weight.nodes).ok_or(Cause::Copies)?;
        self.copied.bytes = self.copied.bytes.checked_sub(weight.bytes).ok_or(Cause::Copies)?;
        Ok(())
    }
}

/// The size of a value, including itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// The number of values.
    pub(super) nodes: usize,
    /// The bytes of text, including keys.
    pub(super) bytes: usize,
    /// The nesting depth of lists and mappings.
    pub(super) depth: usize,
}
