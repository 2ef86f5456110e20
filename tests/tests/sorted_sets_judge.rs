//! Random requests for sorted sets, well formed and not, answered by the engine and by
//! redis-server alike. Ranges by text go to keys whose members all have one score: nothing else is
//! defined. Not here: random members and cursors, which are each implementation's own.
//! `FERRITE_DIFFERENTIAL_STEPS` asks for more steps than CI takes.

use std::env;

use ferrite_engine::Options;
use ferrite_tests::answer::{Answer, request_text};
use ferrite_tests::engine::{Engine, Words};
use ferrite_tests::oracle::Oracle;
use ferrite_tests::random::Random;
use ferrite_tests::subject::Subject;

/// Requests, with a mark for what is drawn: `k` a key, `l` a key of one score, `m` a member, `s` a
/// score, `n` a number, `b` the end of a range of scores, `t` that of texts. A bar between them.
const REQUESTS: &str = "ZADD k s m s m s m s m s m|ZADD k s m|ZADD k NX s m s m|\
    ZADD k XX CH s m s m|ZADD k GT CH s m s m|ZADD k LT s m|ZADD k INCR s m|\
    ZADD k XX GT INCR s m|ZADD k CH s m s m s m|ZADD l 3 m 3 m 3 m 3 m 3 m 3 m|ZADD l 3 m|\
    ZINCRBY k s m|ZREM k m m m|ZREM l m|ZCARD k|ZSCORE k m|ZMSCORE k m m m|ZRANK k m|\
    ZREVRANK k m|ZRANGE k n n|ZRANGE k n n REV WITHSCORES|ZRANGE k b b BYSCORE LIMIT n n|\
    ZRANGE k b b BYSCORE REV WITHSCORES|ZRANGE l t t BYLEX LIMIT n n|ZRANGE l t t BYLEX REV|\
    ZRANGEBYSCORE k b b WITHSCORES LIMIT n n|ZREVRANGE k n n WITHSCORES|ZREVRANGEBYSCORE k b b|\
    ZRANGEBYLEX l t t|ZREVRANGEBYLEX l t t LIMIT n n|ZRANGESTORE k k n n|\
    ZRANGESTORE k k b b BYSCORE REV LIMIT n n|ZRANGESTORE l l t t BYLEX|ZCOUNT k b b|\
    ZLEXCOUNT l t t|ZREMRANGEBYRANK k n n|ZREMRANGEBYSCORE k b b|ZREMRANGEBYLEX l t t|ZPOPMIN k|\
    ZPOPMIN k n|ZPOPMAX k n|ZMPOP 2 k k MIN COUNT n|ZMPOP 2 k k MAX|ZUNION 2 k k WITHSCORES|\
    ZUNION 3 k k p WEIGHTS s s s AGGREGATE MAX WITHSCORES|ZINTER 2 k k WEIGHTS s s WITHSCORES|\
    ZINTER 2 k p AGGREGATE MIN WITHSCORES|ZDIFF 2 k k WITHSCORES|ZDIFF 3 k p k|\
    ZUNIONSTORE k 2 k k WEIGHTS s s|ZINTERSTORE k 2 k k AGGREGATE MIN|ZDIFFSTORE k 2 k k|\
    ZINTERCARD 2 k k LIMIT n|ZINTERCARD 3 k p k|SADD p m m|SREM p m|DEL k|TYPE k|SET k m";
const STRAY: &str = "||0|-1|1|x|NX|XX|GT|LT|CH|INCR|WITHSCORES|LIMIT|REV|BYSCORE|BYLEX|WEIGHTS|\
    AGGREGATE|SUM|MIN|MAX|COUNT|(|[|-|+|inf|nan|9223372036854775807|-9223372036854775808|1e400";
const SCORES: &str = "0|1|2|3|-1|0.1|0.2|1.5|1e17|-2.25|inf|-inf|1e-7|123456789.125|3e300|-3e300";
const ENDS: &str = "0|1|(1|2|(2|-inf|+inf|(inf|0.1|(0.1|-1|5|(3|1e17|100";
const TEXTS: &str = "-|+|[a|(a|[b3|(b3|[m|(long|[longest|(z|[|(";
const COUNTS: &str = "0|1|2|3|-1|-2|-3|5|10|-10|40|-40";

fn one_of(random: &mut Random, words: &'static str) -> String {
    let words: Vec<&str> = words.split('|').collect();
    random.pick(&words).trim().into()
}

fn member(random: &mut Random) -> String {
    let number = random.below(60);
    match number % 20 {
        0 => format!("long{}", "er".repeat(70 + number)),
        1 => format!("longest{}", "x".repeat(600 + number)),
        _ => format!("{}{number}", random.pick(&["a", "b", "member:"])),
    }
}

fn request(random: &mut Random) -> Words {
    let form = one_of(random, REQUESTS);
    let mut words: Vec<String> = form
        .split(' ')
        .map(|word| match word {
            "k" => format!("k{}", random.below(5)),
            "l" => format!("l{}", random.below(2)),
            "p" => "plain".into(),
            "m" => member(random),
            "s" => one_of(random, SCORES),
            "b" => one_of(random, ENDS),
            "t" => one_of(random, TEXTS),
            "n" => one_of(random, COUNTS),
            other => other.into(),
        })
        .collect();
    // What ZRANK takes beside a member came with Redis 7.2.
    if random.one_in(8) && !words[0].ends_with("RANK") {
        let position = 2 + random.below(words.len().max(3) - 2);
        let stray = one_of(random, STRAY);
        match random.below(3) {
            0 => words.insert(position.min(words.len()), stray),
            // The scores of the keys of one score stay the same.
            1 if position < words.len() && words[1].starts_with('k') => words[position] = stray,
            _ => drop(words.pop()),
        }
    }
    words.into_iter().map(String::into_bytes).collect()
}

#[test]
fn the_engine_answers_as_redis_does() {
    let Some(mut oracle) = Oracle::start_or_skip() else { return };
    let steps = env::var("FERRITE_DIFFERENTIAL_STEPS")
        .map_or(6_000, |steps| steps.parse().expect("FERRITE_DIFFERENTIAL_STEPS is a number"));
    let mut refused = 0;
    for seed in 0..3 {
        let options = Options { max_memory_bytes: 64 << 20, seed, ..Options::default() };
        let (mut engine, mut random) = (Engine::new(&options), Random::new(seed));
        oracle.reset();
        for step in 0..steps {
            let request = request(&mut random);
            let expected = without_minus_zero(oracle.ask(&request));
            let given = engine.ask(&request);
            let asked = request_text(&request);
            assert!(
                expected == given,
                "seed {seed}, step {step}: > {asked}\n  redis-server {expected}\n  given {given}"
            );
            refused += usize::from(matches!(expected, Answer::Error(_)));
        }
        engine.keys.validate().expect("a sound keyspace");
    }
    assert!(refused > steps / 10 && refused < steps * 2, "{refused} refused");
}

/// Redis forgets the sign of zero in small sorted sets only; Ferrite's scores have none.
fn without_minus_zero(answer: Answer) -> Answer {
    match answer {
        Answer::Bulk(text) if text == b"-0" => Answer::bulk(b"0"),
        Answer::Array(items) => Answer::Array(items.into_iter().map(without_minus_zero).collect()),
        other => other,
    }
}
