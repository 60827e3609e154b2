//! Caches the results of checks. Checking a certificate and its key takes up to a
//! millisecond. With hundreds of them, this would be most of the time of every change
//! of other objects.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::{Authorities, Certificate, Checked, Role, read_authorities, read_for};

/// The time after which a certificate is checked again, because its issuers' expire, too.
const PERIOD: Duration = Duration::from_hours(1);

/// The cache. It contains the results that were read since the last
/// [`sweep`](Self::sweep), and older ones until the next.
#[derive(Debug, Default)]
pub(crate) struct CheckCache {
    certificates: Results<Certificate>,
    authorities: Results<Authorities>,
}

/// Results by a hash of what was checked.
#[derive(Debug)]
struct Results<T>(Mutex<HashMap<[u8; 32], Entry<T>>>);

impl<T> Default for Results<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

#[derive(Debug)]
struct Entry<T> {
    checked: Arc<Checked<T>>,
    /// The time range in which the result is valid.
    holds: Range<SystemTime>,
    is_used: bool,
}

impl CheckCache {
    /// Same as [`read_for`], from the cache if possible.
    pub(crate) fn read(
        &self,
        role: Role,
        chain: &[u8],
        key: &[u8],
        now: SystemTime,
    ) -> Arc<Checked> {
        // The length of the chain separates it from the key.
        let len = u64::try_from(chain.len()).unwrap_or(u64::MAX).to_le_bytes();
        let digest = Sha256::new().chain_update([u8::from(role == Role::Client)]);
        let digest = digest.chain_update(len).chain_update(chain).chain_update(key);
        self.certificates.get(digest.finalize().into(), now, || {
            let checked = read_for(role, chain, key, now);
            let turn = checked.certificate.as_ref().and_then(|it| it.turns_after(now));
            (checked, turn)
        })
    }

    /// Same as [`read_authorities`], from the cache if possible.
    pub(crate) fn read_authorities(
        &self,
        text: &[u8],
        now: SystemTime,
    ) -> Arc<Checked<Authorities>> {
        self.authorities.get(Sha256::digest(text).into(), now, || {
            let checked = read_authorities(text, now);
            let turn = checked.certificate.as_ref().and_then(|it| it.turns_after(now));
            (checked, turn)
        })
    }

    /// Removes the results that were not read since the last call.
    pub(crate) fn sweep(&self) {
        self.certificates.sweep();
        self.authorities.sweep();
    }
}

impl<T> Results<T> {
    /// The result of `check`, which also returns the time at which it may change.
    fn get(
        &self,
        digest: [u8; 32],
        now: SystemTime,
        check: impl FnOnce() -> (Checked<T>, Option<SystemTime>),
    ) -> Arc<Checked<T>> {
        let mut entries = self.lock();
        if let Some(entry) = entries.get_mut(&digest)
            && entry.holds.contains(&now)
        {
            entry.is_used = true;
            return Arc::clone(&entry.checked);
        }
        let (checked, turn) = check();
        let checked = Arc::new(checked);
        let end = turn.into_iter().chain(now.checked_add(PERIOD)).min().unwrap_or(now);
        let entry = Entry { checked: Arc::clone(&checked), holds: now..end, is_used: true };
        entries.insert(digest, entry);
        checked
    }

    fn sweep(&self) {
        self.lock().retain(|_, entry| std::mem::take(&mut entry.is_used));
    }

    /// Each change is one call, so the entries stay consistent after a panic elsewhere.
    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    #[test]
    fn what_was_found_is_found_again_until_it_may_be_otherwise() {
        let now = SystemTime::now();
        let end = now + Duration::from_mins(30);
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = (now - PERIOD).into();
        params.not_after = end.into();
        let key = KeyPair::generate().unwrap();
        let (chain, key) = (params.self_signed(&key).unwrap().pem(), key.serialize_pem());
        let memo = CheckCache::default();
        let read = |chain: &str, key: &str, now| {
            memo.read(Role::Server, chain.as_bytes(), key.as_bytes(), now)
        };

        let first = read(&chain, &key, now);
        assert!(first.certificate.is_some());
        assert!(Arc::ptr_eq(&first, &read(&chain, &key, now + PERIOD / 4)), "the same");
        assert!(read(&chain, "", now).certificate.is_none(), "another key");
        assert!(read("", &(chain.clone() + &key), now).certificate.is_none(), "split elsewhere");
        let ended = read(&chain, &key, end + Duration::from_secs(1));
        assert!(!Arc::ptr_eq(&first, &ended) && first.problems != ended.problems, "ended");
        let later = read(&chain, &key, end + Duration::from_secs(2));
        assert!(Arc::ptr_eq(&ended, &later), "an expired certificate stays expired");
        assert_eq!(read(&chain, &key, now).problems, first.problems, "the clock was set back");

        memo.sweep();
        assert_eq!(memo.certificates.0.lock().unwrap().len(), 3, "all were read");
        read(&chain, &key, now);
        memo.sweep();
        assert_eq!(memo.certificates.0.lock().unwrap().len(), 1);
    }
}
