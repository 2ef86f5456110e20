//! A caching reverse proxy on Fastly Compute, in sandboxes that serve one request after the other.
//!
//! `X-Cache` tells where an answer came from: `HIT-L1` from the memory of this sandbox, `HIT-POP`
//! from the cache that all sandboxes of the POP share, `MISS` from the origin, and `BYPASS` for
//! what is not kept. `PURGE` on a path drops it from both caches.

use std::time::Duration;

use fastly::http::{Method, StatusCode, header};
use fastly::{Error, Request, Response};
use ferrite_wasm::tiers::{self, Limits, Tiers};

/// Where the site is: a backend of the service, see fastly.toml.
const BACKEND: &str = "origin";

/// How long a page is kept.
const PAGE_TTL: Duration = Duration::from_secs(60);

static PAGES: Tiers = Tiers::new(Limits::DEFAULT);

fn main() -> Result<(), Error> {
    tiers::serve(handle)
}

fn handle(request: Request) -> Result<Response, Error> {
    let path = request.get_path().to_owned();
    if request.get_method_str() == "PURGE" {
        PAGES.purge(&path)?;
        return Ok(Response::from_status(StatusCode::NO_CONTENT));
    }
    if request.get_method() != Method::GET || request.get_query_str().is_some() {
        return Ok(request.send(BACKEND)?.with_header("X-Cache", "BYPASS"));
    }
    match PAGES.get_or_set_with(&path, PAGE_TTL, || fetch(request)) {
        Ok(page) => {
            if let Some(refusal) = &page.refusal {
                eprintln!("not kept at the POP: {path}: {refusal}");
            }
            Ok(unpack(&page.value).with_header("X-Cache", page.from.as_str()))
        }
        Err(NotKept::Answer(answer)) => Ok(answer.with_header("X-Cache", "BYPASS")),
        Err(NotKept::Failed(error)) => Err(error),
    }
}

/// What the origin said that is not for keeping.
enum NotKept {
    Answer(Box<Response>),
    Failed(Error),
}

/// A page of the origin as one value: its type, the end of the line, its body.
fn fetch(request: Request) -> Result<Vec<u8>, NotKept> {
    let mut answer = request.send(BACKEND).map_err(|error| NotKept::Failed(error.into()))?;
    let is_private = answer.contains_header(header::SET_COOKIE)
        || answer.get_header_str(header::CACHE_CONTROL).is_some_and(|text| {
            ["private", "no-store", "no-cache"].iter().any(|word| text.contains(word))
        });
    if answer.get_status() != StatusCode::OK || is_private {
        return Err(NotKept::Answer(Box::new(answer)));
    }
    let body = answer.take_body_bytes();
    let kind = answer.get_header_str(header::CONTENT_TYPE).unwrap_or("application/octet-stream");
    Ok([kind.as_bytes(), b"\n", &body].concat())
}

fn unpack(page: &[u8]) -> Response {
    let end = page.iter().position(|&byte| byte == b'\n').unwrap_or_default();
    let (kind, body) = page.split_at(end);
    Response::from_body(body.get(1..).unwrap_or_default()).with_header(header::CONTENT_TYPE, kind)
}
