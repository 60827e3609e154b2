//! The API as a client sees it: one way to ask, one watch, and one reading of
//! what fails.

mod complaints;
mod failure;
mod watch;

pub(super) use complaints::{Complaints, Task, Trouble};
pub(super) use failure::{Failure, ask, ask_within};
pub(super) use watch::{SILENCE, Told, Watch, WatchFailure, single};
