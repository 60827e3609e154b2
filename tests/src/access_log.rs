//! The access log of a running Envoy.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use serde_json::Value;

use crate::edge::wait_until;

/// The lines of an access log.
#[derive(Clone, Default)]
pub struct AccessLog(Arc<Mutex<Vec<Value>>>);

impl AccessLog {
    /// Reads lines as they arrive, so that the pipe never fills.
    pub(crate) fn follow(lines: impl Iterator<Item = io::Result<String>> + Send + 'static) -> Self {
        let log = Self::default();
        let Self(seen) = log.clone();
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                seen.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        log
    }

    /// Waits for the first line about a request for `path`.
    ///
    /// # Panics
    /// If there is none within the time limit.
    pub fn line(&self, path: &str) -> Value {
        let mut found = None;
        wait_until(&format!("a line about {path}"), || {
            let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            found = lines.iter().find(|line| line["path"] == path).cloned();
            found.is_some()
        });
        found.expect("the line was found")
    }
}
