//! Background load during a test.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

/// Repeats `work` on this many threads while `during` runs. Returns the result of
/// `during` and the number of repetitions.
///
/// # Panics
/// If one of them panics. If `during` panics, the work ends too, because the test
/// would hang otherwise.
pub fn meanwhile<T>(
    threads: usize,
    work: impl Fn() + Sync,
    during: impl FnOnce() -> T,
) -> (T, usize) {
    let (is_over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let result = thread::scope(|scope| {
        let _over = Over(&is_over);
        for _ in 0..threads {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    work();
                    done.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        during()
    });
    (result, done.into_inner())
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    #[test]
    fn the_work_ends_with_what_it_goes_beside() {
        let work = || thread::yield_now();
        let worked = AtomicUsize::new(0);
        let counted = || {
            worked.fetch_add(1, Ordering::Relaxed);
        };
        let until_it_works = || {
            while worked.load(Ordering::Relaxed) < 3 {
                thread::yield_now();
            }
            "done"
        };
        let (result, done) = meanwhile(2, counted, until_it_works);
        assert_eq!((result, done), ("done", worked.into_inner()));
        let failing = AssertUnwindSafe(|| meanwhile(1, work, || panic!("it fails")));
        assert!(catch_unwind(failing).is_err());
    }
}
