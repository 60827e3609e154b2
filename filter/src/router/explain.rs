//! Explains why a route does not match a request, with the code that matches.

use super::{NoHost, Router};
use crate::authority;
use crate::error::{Broken, LoadError};
use crate::request::Request;
use crate::rules::Unmet;
use crate::view::View;

impl Router {
    /// The hosts of the table that match the host of an authority, each with the index
    /// of its virtual host. The first one is the most specific and serves the request.
    ///
    /// # Errors
    /// If the authority does not name a host.
    ///
    /// ```
    /// use ingress_filter::Router;
    ///
    /// let router = Router::load(br#"{
    ///     "version": 1,
    ///     "virtual_hosts": [{"hosts": ["*"]}, {"hosts": ["a.example", "*.a.example"]}]
    /// }"#)?;
    /// let expected = [(1, "*.a.example".to_owned()), (0, "*".to_owned())];
    /// assert_eq!(router.hosts_of(b"b.A.example:80").as_deref(), Ok(&expected[..]));
    /// # Ok::<_, ingress_filter::LoadError>(())
    /// ```
    pub fn hosts_of(&self, authority: &[u8]) -> Result<Vec<(usize, String)>, NoHost> {
        let (hosts, bytes) = (self.root.hosts, self.bytes());
        let host = authority::host(authority).ok_or(NoHost)?;
        let text = String::from_utf8_lossy(&host);
        let suffix = text.split_once('.').map(|(_, suffix)| suffix).unwrap_or_default();
        let entries = [
            (hosts.exact.get(&host, bytes).flatten(), text.to_string()),
            (hosts.find_wildcard(&host, bytes), format!("*.{suffix}")),
            (hosts.any, "*".to_owned()),
        ];
        let known = entries.into_iter().filter_map(|(index, entry)| Some((index? as usize, entry)));
        Ok(known.collect())
    }

    /// The conditions that a request does not meet, for each rule of the backend with
    /// this index.
    ///
    /// # Errors
    /// If the table cannot be read, or does not have this backend.
    ///
    /// ```
    /// use ingress_filter::Router;
    ///
    /// let router = Router::load(br#"{
    ///     "version": 1,
    ///     "backends": [{
    ///         "name": "web",
    ///         "rules": [{
    ///             "match": {"headers": [{"name": "x-user", "value": {"exact": "jason"}}]},
    ///             "action": {"respond": {"status": 503}}
    ///         }],
    ///         "default": {"respond": {"status": 503}}
    ///     }]
    /// }"#)?;
    /// let request = [("x-user".to_owned(), b"jane".to_vec())];
    /// let unmet = router.unmet(0, &request[..])?;
    /// let (condition, value) = &unmet[0].headers[0];
    /// assert_eq!((&*condition.name, value.as_deref()), ("x-user", Some(&b"jane"[..])));
    /// # Ok::<_, ingress_filter::LoadError>(())
    /// ```
    pub fn unmet(
        &self,
        backend: usize,
        request: &(impl Request + ?Sized),
    ) -> Result<Vec<Unmet>, LoadError> {
        let bytes = self.bytes();
        let index = u32::try_from(backend).map_err(|_| Broken)?;
        let backend = bytes.list(self.root.backends)?.get(index)?;
        let value = |name| request.first_value(name).unwrap_or_default();
        let slots = (bytes, backend.slots);
        let view = View::new(request, value(":path"), value(":authority"), slots, None)?;
        Ok(backend.unmet(bytes, &view)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_host_is_the_one_that_serves() {
        let router = Router::load(
            br#"{"version": 1, "virtual_hosts": [
                {"hosts": ["*.example", "b.a.example"]},
                {"hosts": ["a.example", "[::1]"]},
                {"hosts": ["*.a.example"]}
            ]}"#,
        )
        .unwrap();
        for authority in [
            "a.example",
            "A.example:80",
            "b.a.example",
            "c.a.example",
            "b.example",
            "example",
            "[::1]:80",
            "x.y.a.example",
            "",
            "a@b",
            ".example",
        ] {
            let hosts = router.hosts_of(authority.as_bytes());
            let first = hosts.map(|hosts| hosts.first().map(|(index, _)| *index));
            let found = router.find_host(authority.as_bytes());
            assert_eq!(first, found.map(|found| found.map(|index| index as usize)), "{authority}");
        }
    }
}
