//! The connections. One that has not shown the token yet never keeps out one that has it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// The most connections with the token; a browser opens six.
const MAX_ADMITTED: usize = 64;

/// The most connections without it. The next one closes the oldest, so that idle ones, which
/// any program of this machine can open, cannot make the page unreachable.
const MAX_WAITING: usize = 64;

/// All connections.
pub(super) struct Visitors {
    /// Those that have not shown the token, the oldest first.
    waiting: Mutex<VecDeque<Arc<Notify>>>,
    places: Arc<Semaphore>,
}

/// One connection, until dropped.
pub(super) struct Visitor {
    all: Arc<Visitors>,
    closed: Arc<Notify>,
    place: OnceLock<OwnedSemaphorePermit>,
}

impl Visitors {
    pub(super) fn new() -> Arc<Self> {
        let places = Arc::new(Semaphore::new(MAX_ADMITTED));
        Arc::new(Self { waiting: Mutex::default(), places })
    }

    /// A new connection, which closes the oldest one without the token if there are too many.
    pub(super) fn enter(self: &Arc<Self>) -> Visitor {
        let closed = Arc::new(Notify::new());
        let mut waiting = self.waiting();
        if waiting.len() >= MAX_WAITING
            && let Some(oldest) = waiting.pop_front()
        {
            oldest.notify_one();
        }
        waiting.push_back(Arc::clone(&closed));
        Visitor { all: Arc::clone(self), closed, place: OnceLock::new() }
    }

    fn waiting(&self) -> MutexGuard<'_, VecDeque<Arc<Notify>>> {
        // The queue is whole after each step.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Visitor {
    /// Keeps the connection, which has shown the token; `false` if there are too many.
    pub(super) fn admit(&self) -> bool {
        if self.place.get().is_some() {
            return true;
        }
        let Ok(place) = Arc::clone(&self.all.places).try_acquire_owned() else { return false };
        self.stop_waiting();
        self.place.set(place).is_ok()
    }

    /// Waits until it has to make room, which an admitted one never has to.
    pub(super) async fn closed(&self) {
        self.closed.notified().await;
    }

    fn stop_waiting(&self) {
        self.all.waiting().retain(|other| !Arc::ptr_eq(other, &self.closed));
    }
}

impl Drop for Visitor {
    fn drop(&mut self) {
        self.stop_waiting();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn is_closed(visitor: &Visitor) -> bool {
        visitor.closed().now_or_never().is_some()
    }

    #[test]
    fn the_oldest_without_the_token_makes_room() {
        let visitors = Visitors::new();
        let admitted = visitors.enter();
        assert!(admitted.admit() && admitted.admit());
        let mut waiting: Vec<_> = (0..MAX_WAITING).map(|_| visitors.enter()).collect();
        assert!(!waiting.iter().chain([&admitted]).any(is_closed));
        let last = visitors.enter();
        assert!(is_closed(&waiting[0]) && !waiting[1..].iter().any(is_closed));
        // One that ends makes room too.
        drop(waiting.pop());
        let next = visitors.enter();
        assert!(!waiting[1..].iter().chain([&last, &next, &admitted]).any(is_closed));
    }

    #[test]
    fn connections_with_the_token_are_limited() {
        let visitors = Visitors::new();
        let mut admitted: Vec<_> = (0..MAX_ADMITTED).map(|_| visitors.enter()).collect();
        assert!(admitted.iter().all(Visitor::admit));
        let next = visitors.enter();
        assert!(!next.admit() && admitted[0].admit());
        drop(admitted.pop());
        assert!(next.admit());
    }
}
