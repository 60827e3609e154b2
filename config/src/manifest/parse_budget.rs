//! How much one file may hold, so that no manifest takes all memory.

use super::yaml::Cause;

/// The most values in one file; an Ingress path takes eight.
pub const MAX_NODES: usize = 2_000_000;
/// The most values that anchors and aliases may repeat in one file.
pub const MAX_COPIED_NODES: usize = 250_000;
/// The most text that anchors and aliases may repeat in one file.
pub const MAX_COPIED_BYTES: usize = 16 << 20;

/// What the documents of one file may still use up together.
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

    /// Takes off one more value.
    pub(super) fn add(&mut self) -> Result<(), Cause> {
        self.nodes = self.nodes.checked_sub(1).ok_or(Cause::Nodes)?;
        Ok(())
    }

    /// Takes off a value that is repeated.
    pub(super) fn copy(&mut self, weight: Weight) -> Result<(), Cause> {
        self.copied.nodes = self.copied.nodes.checked_sub(weight.nodes).ok_or(Cause::Copies)?;
        self.copied.bytes = self.copied.bytes.checked_sub(weight.bytes).ok_or(Cause::Copies)?;
        Ok(())
    }
}

/// How much a value holds, itself included.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Weight {
    /// How many values.
    pub(super) nodes: usize,
    /// How much text, keys included.
    pub(super) bytes: usize,
    /// How many lists and mappings within one another.
    pub(super) depth: usize,
}
