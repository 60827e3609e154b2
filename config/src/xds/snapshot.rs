//! The last state of Envoy, in one file. The next process uses it if Envoy restarts
//! before that process has read the API.

use std::io;
use std::path::Path;

use prost::Message;
use zeroize::Zeroizing;

use super::discovery::{DeltaDiscoveryResponse, Resource};
use crate::envoy::{Key, Kind, Resources};
use crate::files::write_private;

/// Writes a snapshot, which contains private keys.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_snapshot(path: &Path, resources: &Resources) -> io::Result<()> {
    let resources = resources
        .iter()
        .map(|(kind, name, resource)| Resource::new(name, kind.type_url(), resource));
    let response = DeltaDiscoveryResponse {
        resources: resources.collect(),
        ..DeltaDiscoveryResponse::default()
    };
    write_private(path, &*Zeroizing::new(response.encode_to_vec()))
}

/// Reads a snapshot; empty if the file is missing or not a valid snapshot.
pub(crate) fn read_snapshot(path: &Path) -> Resources {
    let mut resources = Resources::default();
    let Ok(bytes) = std::fs::read(path).map(Zeroizing::new) else { return resources };
    let Ok(response) = DeltaDiscoveryResponse::decode(&**bytes) else { return resources };
    for (name, type_url, resource) in
        response.resources.into_iter().filter_map(Resource::into_parts)
    {
        if let Some(kind) = Kind::of_type_url(&type_url) {
            resources.insert(Key::new(kind, name), resource);
        }
    }
    resources
}
