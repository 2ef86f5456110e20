//! Reading through to an origin that is awaited, as everything in a Worker is.

use std::time::Duration;

use crate::cache::Cache;
use crate::engine::{Expiry, Millis, SetOptions};

impl Cache {
    /// The value of a key, or what `make` comes to, which is kept for `ttl`. True if it was there.
    ///
    /// Requests that ask for a key that is being made make it too: an isolate may not let one
    /// request wait for the I/O of another.
    ///
    /// # Errors
    /// Those of `make`; nothing is kept then. What the cache has no room for is only handed on.
    pub async fn get_or_set_with<V, E>(
        &self,
        key: impl AsRef<[u8]>,
        ttl: Duration,
        make: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<(Vec<u8>, bool), E>
    where
        V: Into<Vec<u8>>,
    {
        let key = key.as_ref();
        if let Some(value) = self.get(key) {
            return Ok((value, true));
        }
        let value = make().await?.into();
        let ms = Millis::try_from(ttl.as_millis()).unwrap_or(Millis::MAX).max(1);
        let options = SetOptions { expiry: Expiry::In(ms), ..SetOptions::default() };
        let _ = self.try_set(key, &value, &options);
        Ok((value, false))
    }
}
