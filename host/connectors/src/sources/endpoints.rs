//! Which addresses sources listen on: with port 0 only the machine knows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// A source: its pipeline and its name in it.
pub type EndpointKey = (String, String);

/// The bound addresses of all open sources.
#[derive(Clone, Debug, Default)]
pub struct Endpoints(Arc<Mutex<BTreeMap<EndpointKey, SocketAddr>>>);

impl Endpoints {
    /// The address that a source listens on.
    #[must_use]
    pub fn get(&self, pipeline: &str, entry: &str) -> Option<SocketAddr> {
        self.all().get(&(pipeline.to_owned(), entry.to_owned())).copied()
    }

    /// All addresses, by pipeline and entry.
    #[must_use]
    pub fn all(&self) -> BTreeMap<EndpointKey, SocketAddr> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Lists an address until what is returned is dropped.
    pub(crate) fn insert(&self, key: EndpointKey, address: SocketAddr) -> Listed {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone(), address);
        Listed { endpoints: self.clone(), key, address }
    }
}

/// An address that is in the list.
#[derive(Debug)]
pub(crate) struct Listed {
    endpoints: Endpoints,
    key: EndpointKey,
    address: SocketAddr,
}

impl Drop for Listed {
    fn drop(&mut self) {
        let mut all = self.endpoints.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A restarted source may have listed its new address already.
        if all.get(&self.key) == Some(&self.address) {
            all.remove(&self.key);
        }
    }
}
