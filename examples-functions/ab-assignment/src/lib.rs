//! `FCALL ab_assign 1 experiment:checkout user-42 old 80 new 20`: the variant of a user, drawn by
//! weight at the first time and the same ever after, and counted.
//!
//! The key is a hash: a field for each user, and one for the count of each variant. Who is not yet
//! in it is placed by a hash of experiment and user, so that even a lost key assigns the same
//! again.

use ferrite_udf_sdk::prelude::*;

/// Assigns a user to a variant of an experiment; behind the user stand variants and weights.
#[ferrite_udf]
fn ab_assign(key: &str, user: &str, variants: &[&str]) -> Result<String, Error> {
    let field = format!("user:{user}");
    if let Some(variant) = ferrite::hget(key, &field) {
        return Ok(variant);
    }
    let variant = choose(key, user, variants)?;
    ferrite::hset(key, &field, variant);
    ferrite::call(&["HINCRBY", key, &format!("count:{variant}"), "1"])?;
    Ok(variant.to_string())
}

/// How many users each variant has.
#[ferrite_udf(no_writes)]
fn ab_counts(key: &str, variants: &[&str]) -> Reply {
    let count = |variant: &&str| -> i64 {
        let count = ferrite::hget(key, &format!("count:{variant}"));
        count.and_then(|count| count.parse().ok()).unwrap_or(0)
    };
    Reply::map(variants.iter().map(|variant| (*variant, count(variant))))
}

fn choose<'a>(key: &str, user: &str, variants: &[&'a str]) -> Result<&'a str, Error> {
    let (pairs, rest) = variants.as_chunks::<2>();
    if pairs.is_empty() || !rest.is_empty() {
        return Err(Error::new("variants are given as: name weight [name weight ...]"));
    }
    let weight = |text: &str| -> Result<u64, Error> {
        let weight: Option<u32> = text.parse().ok();
        weight.map(u64::from).ok_or_else(|| Error::new(&format!("'{text}' is no weight")))
    };
    let mut total = 0;
    for [_, text] in pairs {
        total += weight(text)?;
    }
    let mut left = fnv1a(key, user).checked_rem(total).ok_or("all weights are 0")?;
    for [name, text] in pairs {
        let weight = weight(text)?;
        if left < weight {
            return Ok(name);
        }
        left -= weight;
    }
    Err(Error::new("all weights are 0"))
}

/// FNV-1a with a last mix, since the share of a total is taken of it.
fn fnv1a(key: &str, user: &str) -> u64 {
    let bytes = key.bytes().chain([0]).chain(user.bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash ^ (hash >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16
}
