//! The route table in both forms, as a value and encoded.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use ingress_filter::table::TlsHost;
use ingress_filter::{FlatTable, LoadError, Pattern, PatternError, RouteTable};

/// Compiled regular expressions, by their text.
pub type Patterns = BTreeMap<String, Arc<Pattern<'static>>>;

/// A route table that was compiled from objects, and its flat form, which the
/// filter serves.
#[derive(Clone, Debug)]
pub struct ServedTable {
    table: RouteTable,
    flat: Result<FlatTable, Arc<LoadError>>,
    patterns: Patterns,
}

impl ServedTable {
    /// Encodes a table. The digest of the flat form becomes its name, which is also
    /// in the log of the filter.
    ///
    /// Patterns that are not in `patterns` are compiled.
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
    /// If it cannot be decoded.
    pub(crate) fn recover(flat: FlatTable) -> Result<Self, LoadError> {
        let mut table = flat.decode()?;
        table.name = format!("{:016x}", flat.digest());
        Ok(Self { table, flat: Ok(flat), patterns: Patterns::new() })
    }

    /// The flat form, which the filter serves.
    ///
    /// # Errors
    /// If the filter would reject the table.
    pub fn flat(&self) -> Result<&FlatTable, Arc<LoadError>> {
        self.flat.as_ref().map_err(Arc::clone)
    }

    /// The flat form with other hosts.
    ///
    /// # Errors
    /// Like [`Self::flat`].
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

/// Compares the flat forms, which are complete and fast to compare.
impl PartialEq for ServedTable {
    fn eq(&self, other: &Self) -> bool {
        match (&self.flat, &other.flat) {
            (Ok(own), Ok(other)) => own == other,
            _ => self.table == other.table,
        }
    }
}

impl Eq for ServedTable {}
