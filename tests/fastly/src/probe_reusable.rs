//! The probe in sandboxes that serve one request after the other.

mod probe;

use fastly::Error;

fn main() -> Result<(), Error> {
    ferrite_wasm::tiers::serve(probe::handle)
}
