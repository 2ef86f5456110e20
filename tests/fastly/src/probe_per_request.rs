//! The probe with a sandbox for each request, which is how Fastly runs a program unless told
//! otherwise.

mod probe;

use fastly::{Error, Request, Response};

#[fastly::main]
fn main(request: Request) -> Result<Response, Error> {
    probe::handle(request)
}
