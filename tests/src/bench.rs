//! Code that the benchmarks share: arguments, measurements, and the figures that
//! they print and save as JSON.

mod arguments;
mod figure;
mod load;
mod machine;
mod manifests;
mod processes;
mod report;

pub use arguments::Arguments;
pub use figure::{Figure, grouped};
pub use load::{HttpVersion, Load, Pace, Running, Slice};
pub use machine::Machine;
pub use manifests::{Notation, Shape, manifests};
pub use processes::{Processes, Usage, memory_peak, usage};
pub use report::{Report, folder};
