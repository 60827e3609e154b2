//! The API as a client sees it: one watch, and what of
//! its failures is logged.

mod complaints;
mod watch;

pub(super) use complaints::{Complaints, Task, Trouble};
pub(super) use watch::{SILENCE, Told, Watch, WatchFailure, single};
