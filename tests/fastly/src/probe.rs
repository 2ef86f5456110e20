//! What both programs answer: the tiers and the cache of the sandbox, driven by the query.
//!
//! | path | what it does |
//! | --- | --- |
//! | `/get?key&ttl_ms&tag` | a value of the origin's `/key` through the tiers |
//! | `/purge?key`, `/purge-tag?tag` | a purge |
//! | `/long-key` | the same for a key that the platform does not take |
//! | `/break?key` | leaves an entry at the POP whose writer broke off |
//! | `/visit` | a counter in sandbox memory |
//! | `/panic` | the sandbox dies |
//! | `/commands` | what a Rust program would do with hashes, lists and sets |

use std::io::Write;
use std::time::Duration;

use fastly::cache::core::{CacheKey, insert};
use fastly::{Error, Request, Response};
use ferrite_wasm::tiers::{Limits, Tiers};
use ferrite_wasm::{Cache, When};

/// Small, so that a test need not send 16 MiB to be over it.
const VALUE_BYTES_MAX: usize = 1 << 20;

static TIERS: Tiers = Tiers::new(Limits { value_bytes_max: VALUE_BYTES_MAX, ..Limits::DEFAULT });
static LOCAL: Cache = Cache::new(1 << 20);

pub fn handle(request: Request) -> Result<Response, Error> {
    let parameter = |name| {
        let found = request.get_url().query_pairs().find(|(other, _)| other == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let (key, tag) = (parameter("key"), parameter("tag"));
    match request.get_path() {
        "/get" => {
            let ttl = Duration::from_millis(parameter("ttl_ms").parse()?);
            through_tiers(&key, &key, ttl, &tag)
        }
        "/long-key" => through_tiers(&"k".repeat(5000), &key, Duration::from_secs(60), &tag),
        "/purge" => TIERS.purge(&key).map(|()| Response::new()),
        "/purge-tag" => TIERS.purge_tag(&tag).map(|()| Response::new()),
        "/break" => break_off(&key),
        "/visit" => Ok(Response::from_body(LOCAL.incr("visits")?.to_string())),
        "/panic" => panic!("as asked"),
        "/commands" => commands(),
        other => Ok(Response::from_body(other).with_status(404)),
    }
}

fn through_tiers(key: &str, path: &str, ttl: Duration, tag: &str) -> Result<Response, Error> {
    let tags: Vec<&str> = tag.split(',').filter(|tag| !tag.is_empty()).collect();
    let fetched = TIERS.get_or_set_tagged(key, ttl, &tags, || {
        let mut answer = Request::get(format!("http://origin/{path}")).send("origin")?;
        match answer.get_status().as_u16() {
            200 => Ok(answer.take_body_bytes()),
            status => Err(Error::msg(format!("the origin said {status}"))),
        }
    })?;
    let refusal = fetched.refusal.map(|refusal| refusal.to_string()).unwrap_or_default();
    Ok(Response::from_body(fetched.value)
        .with_header("X-Cache", fetched.from.as_str())
        .with_header("X-Refusal", refusal))
}

/// What a sandbox leaves behind that dies while it writes an entry.
fn break_off(key: &str) -> Result<Response, Error> {
    let key = CacheKey::copy_from_slice(key.as_bytes());
    let mut body = insert(key, Duration::from_secs(60)).execute()?;
    body.write_all(b"the first half")?;
    body.flush()?;
    // Not finished: the platform is told so when it is dropped.
    Ok(Response::new())
}

fn commands() -> Result<Response, Error> {
    LOCAL.hset("h", [("a", "1"), ("b", "2")])?;
    LOCAL.rpush("l", ["x", "y", "z"])?;
    LOCAL.sadd("s", ["m"])?;
    LOCAL.expire("h", 60, When::Always)?;
    let wrong = LOCAL.try_get("h").map(|_| ()).map_err(|error| error.code().to_owned());
    let text = format!(
        "{:?} {:?} {} {} {:?}",
        LOCAL.hmget("h", ["a", "none"])?,
        LOCAL.lrange("l", 1, -1)?,
        LOCAL.sismember("s", "m")?,
        LOCAL.ttl("h")?,
        wrong,
    );
    Ok(Response::from_body(text))
}
