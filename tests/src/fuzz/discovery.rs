//! Requests of xDS clients while their resources change.

use ingressctl::fuzzing::{Ask, Discovery, Step};

/// Runs steps, each chosen by a byte: after any of them, the next client receives
/// all its resources.
///
/// # Panics
/// If it does not, or if the responses to one client never end.
pub fn discovery(mut input: &[u8]) -> bool {
    let mut discovery = Discovery::new();
    discovery.take(Step::Join);
    while let Some((step, rest)) = step(input) {
        discovery.take(step);
        input = rest;
    }
    discovery.converge()
}

fn step(input: &[u8]) -> Option<(Step<'_>, &[u8])> {
    let (kind, rest) = input.split_first()?;
    Some(match (kind, rest) {
        (b't', [kind, name, content, rest @ ..]) => (Step::Tell(*kind, *name, *content), rest),
        (b'w', [kind, name, rest @ ..]) => (Step::Withdraw(*kind, *name), rest),
        (b'r', rest) => (Step::Retry, rest),
        (b'j', rest) => (Step::Join, rest),
        (b'l', rest) => (Step::Leave, rest),
        (b'a', &[kind, subscribe, unsubscribe, initial, nonce, ref rest @ ..]) => {
            (Step::Ask(Ask { kind, subscribe, unsubscribe, initial, nonce }), rest)
        }
        (_, [length, rest @ ..]) => {
            let (message, rest) = rest.split_at(usize::from(*length).min(rest.len()));
            (Step::Take(message), rest)
        }
        (_, []) => return None,
    })
}
