//! The route table in both forms.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use ingress_filter::table::TlsHost;
use ingress_filter::{FlatTable, LoadError, Pattern, PatternError, RouteTable};

/// Compiled regular expressions, by their text.
pub type Patterns = BTreeMap<String, Arc<Pattern<'static>>>;

/// A route table, which compiled objects come to, and the flat form of it, which
/// the filter serves.
#[derive(Clone, Debug)]
pub struct ServedTable {
    table: RouteTable,
    flat: Result<FlatTable, Arc<LoadError>>,
    patterns: Patterns,
}

impl ServedTable {
    /// Makes the flat form of a table. Its name becomes the digest of that, by
    /// which the module's log knows it too.
    ///
    /// Patterns that are not among those compiled already are compiled now.
    pub fn new(table: RouteTable, patterns: Patterns) -> Self {
        let mut table = RouteTable { name: String::new(), ..table };
        let flat = encode(&table, &patterns).map_err(Arc::new);
        if let Ok(flat) = &flat {
            table.name = format!("{:016x}", flat.digest());
        }
        Self { table, flat, patterns }
    }

    /// A table that was served before.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(crate) fn recover(flat: FlatTable) -> Result<Self, LoadError> {
        let mut table = flat.decode()?;
        table.name = format!("{:016x}", flat.digest());
        Ok(Self { table, flat: Ok(flat), patterns: Patterns::new() })
    }

    /// What the filter serves.
    ///
    /// # Errors
    /// Where the table says what the filter would refuse.
    pub fn flat(&self) -> Result<&FlatTable, Arc<LoadError>> {
        self.flat.as_ref().map_err(Arc::clone)
    }

    /// The flat form of the same, but with these hosts.
    ///
    /// # Errors
    /// As [`Self::flat`].
    pub(crate) fn with_tls_hosts(&self, tls_hosts: Vec<TlsHost>) -> Result<FlatTable, LoadError> {
        let name = format!("{} between", self.table.name);
        encode(&RouteTable { name, tls_hosts, ..self.table.clone() }, &self.patterns)
    }
}

fn encode(table: &RouteTable, patterns: &Patterns) -> Result<FlatTable, LoadError> {
    FlatTable::encode_with(table, &|text| -> Result<_, PatternError> {
        match patterns.get(text) {
            Some(pattern) => Ok(Arc::clone(pattern)),
            None => Pattern::new(text).map(Arc::new),
        }
    })
}

impl Deref for ServedTable {
    type Target = RouteTable;

    fn deref(&self) -> &RouteTable {
        &self.table
    }
}

impl From<RouteTable> for ServedTable {
    fn from(table: RouteTable) -> Self {
        Self::new(table, Patterns::new())
    }
}

/// By the flat form, which says all and is quick to compare.
impl PartialEq for ServedTable {
    fn eq(&self, other: &Self) -> bool {
        match (&self.flat, &other.flat) {
            (Ok(own), Ok(other)) => own == other,
            _ => self.table == other.table,
        }
    }
}

impl Eq for ServedTable {}
