//! A caching reverse proxy as a Cloudflare Worker in Rust: pages of a site, in the memory of the
//! isolate.
//!
//! `X-Cache` tells where an answer came from: `HIT` from memory, `MISS` from the origin, `BYPASS`
//! for what is not kept. `/__ferrite/stats` has the figures. Another isolate has a memory of its
//! own, so counts are those of this one.

use std::time::Duration;

use ferrite_wasm::Cache;
use worker::{Context, Env, Error, Fetch, Method, Request, Response, Result, event};

/// Nothing happens here before the first request: a Worker has neither time nor randomness then.
static PAGES: Cache = Cache::new(32 << 20);

/// Counts the requests of each path, apart from the pages so that none drives out the other.
static VISITS: Cache = Cache::new(1 << 20);

#[event(fetch)]
async fn fetch(request: Request, env: Env, _: Context) -> Result<Response> {
    let path = request.path();
    if path == "/__ferrite/stats" {
        return stats();
    }
    // A count that is not taken is no reason to refuse a request.
    let _ = VISITS.hincrby("visits", &path, 1);
    let origin = env.var("ORIGIN")?.to_string();
    let url = format!("{}{path}", origin.trim_end_matches('/'));
    if request.method() != Method::Get || request.url()?.query().is_some() {
        return Response::error("only pages, without a query", 405);
    }
    let seconds = env
        .var("PAGE_SECONDS")?
        .to_string()
        .parse()
        .map_err(|_| Error::RustError("PAGE_SECONDS is a number of seconds".into()))?;
    let page =
        PAGES.get_or_set_with(&path, Duration::from_secs(seconds), async || load(&url).await);
    match page.await {
        Ok((page, is_hit)) => answer(&page, if is_hit { "HIT" } else { "MISS" }),
        Err(NotKept::Answer(mut answer)) => {
            answer.headers_mut().set("X-Cache", "BYPASS")?;
            Ok(answer)
        }
        Err(NotKept::Failed(error)) => Response::error(format!("the origin: {error}"), 502),
    }
}

/// What the origin said that is not for keeping.
enum NotKept {
    Answer(Response),
    Failed(Error),
}

impl From<Error> for NotKept {
    fn from(error: Error) -> NotKept {
        NotKept::Failed(error)
    }
}

/// A page of the origin as one value: its type, the end of the line, its body.
async fn load(url: &str) -> Result<Vec<u8>, NotKept> {
    let url = url.parse().map_err(Error::from)?;
    let mut answer = Fetch::Url(url).send().await?;
    if answer.status_code() != 200 || answer.headers().has("Set-Cookie")? {
        // The headers of what was fetched cannot be changed.
        let status = answer.status_code();
        let answer = Response::from_bytes(answer.bytes().await?)?.with_status(status);
        return Err(NotKept::Answer(answer));
    }
    let kind = answer.headers().get("Content-Type")?.unwrap_or_default();
    let body = answer.bytes().await?;
    Ok([kind.as_bytes(), b"\n", &body].concat())
}

fn answer(page: &[u8], cache: &str) -> Result<Response> {
    let end = page.iter().position(|&byte| byte == b'\n').unwrap_or_default();
    let (kind, body) = page.split_at(end);
    let mut answer = Response::from_bytes(body.get(1..).unwrap_or_default().into())?;
    let headers = answer.headers_mut();
    headers.set("Content-Type", &String::from_utf8_lossy(kind))?;
    headers.set("X-Cache", cache)?;
    Ok(answer)
}

fn stats() -> Result<Response> {
    let figures = PAGES.stats();
    let mut text: String =
        figures.fields().map(|(name, number)| format!("{name}:{number}\n")).collect();
    let visits = VISITS.hgetall("visits").map_err(|error| Error::RustError(error.to_string()))?;
    for (path, count) in visits.0 {
        let (path, count) = (String::from_utf8_lossy(&path), String::from_utf8_lossy(&count));
        text.push_str(&format!("visits of {path}:{count}\n"));
    }
    Response::ok(text)
}
