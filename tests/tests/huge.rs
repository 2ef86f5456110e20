//! A million elements in one value: written, read whole, taken apart, given back.
//! Families that the build lacks are left out.

use ferrite_engine::Options;
use ferrite_tests::answer::Answer;
use ferrite_tests::engine::Engine;
use ferrite_tests::subject::Subject;

const ELEMENTS: usize = 1_000_000;
const BATCH: usize = 1_000;
const BUDGET_BYTES: u64 = 128 << 20;
/// What may be kept when everything is gone: the table of segments, sized by the budget.
const LEFT_BYTES_MAX: u64 = 512 << 10;

fn ask(engine: &mut Engine, request: &[&str]) -> Answer {
    let words: Vec<Vec<u8>> = request.iter().map(|word| word.as_bytes().to_vec()).collect();
    engine.ask(&words)
}

fn len(answer: &Answer) -> usize {
    let Answer::Array(items) = answer else { panic!("an array, not {answer}") };
    items.len()
}

/// An engine with a value of so many elements, made by commands of one form; None if it has none.
fn filled(name: &str, element: fn(usize) -> Vec<String>) -> Option<Engine> {
    ferrite_engine::find(name.as_bytes())?;
    let mut engine = Engine::new(&Options { max_memory_bytes: BUDGET_BYTES, ..Options::default() });
    for start in (0..ELEMENTS).step_by(BATCH) {
        let elements: Vec<String> = (start..start + BATCH).flat_map(element).collect();
        let mut request = vec![name, "key"];
        request.extend(elements.iter().map(String::as_str));
        let answer = ask(&mut engine, &request);
        assert!(matches!(answer, Answer::Integer(_)), "{answer}");
    }
    engine.keys.validate().expect("a sound keyspace");
    Some(engine)
}

/// Everything is gone, and so is its memory.
fn check_empty(mut engine: Engine) {
    assert_eq!(ask(&mut engine, &["EXISTS", "key"]), Answer::Integer(0));
    while engine.tick(usize::MAX) > 0 {}
    engine.keys.validate().expect("a sound keyspace");
    let left = engine.keys.stats().used_memory;
    assert!(left < LEFT_BYTES_MAX, "{left} bytes are left");
}

#[test]
fn a_list() {
    let Some(mut engine) = filled("RPUSH", |number| vec![number.to_string()]) else { return };
    let whole = ask(&mut engine, &["LRANGE", "key", "0", "-1"]);
    let Answer::Array(items) = &whole else { panic!("an array, not {whole}") };
    let is_right = |(number, item): (usize, &Answer)| *item == number.to_string().as_str().into();
    assert!(items.len() == ELEMENTS && items.iter().enumerate().all(is_right));
    let widest = [i64::MIN.to_string(), i64::MAX.to_string()];
    let again = ask(&mut engine, &["LRANGE", "key", &widest[0], &widest[1]]);
    assert!(again == whole);
    assert_eq!(ask(&mut engine, &["LINDEX", "key", "-500000"]), "500000".into());
    assert_eq!(ask(&mut engine, &["LPOS", "key", "999999"]), Answer::Integer(999_999));
    assert_eq!(ask(&mut engine, &["LREM", "key", "0", "700000"]), Answer::Integer(1));
    assert_eq!(ask(&mut engine, &["LTRIM", "key", "400000", "-400001"]), Answer::ok());
    assert_eq!(ask(&mut engine, &["LLEN", "key"]), Answer::Integer(199_999));
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(len(&ask(&mut engine, &["LPOP", "key", &widest[1]])), 199_999);
    check_empty(engine);
}

#[test]
fn a_hash() {
    let field = |number: usize| vec![format!("f{number}"), number.to_string()];
    let Some(mut engine) = filled("HSET", field) else { return };
    assert_eq!(len(&ask(&mut engine, &["HGETALL", "key"])), 2 * ELEMENTS);
    assert_eq!(len(&ask(&mut engine, &["HRANDFIELD", "key", "2000000"])), ELEMENTS);
    assert_eq!(len(&ask(&mut engine, &["HRANDFIELD", "key", "-2000000"])), 2 * ELEMENTS);
    let refused = ask(&mut engine, &["HRANDFIELD", "key", &i64::MIN.to_string()]);
    assert!(matches!(&refused, Answer::Error(_)), "{refused}");
    assert_eq!(ask(&mut engine, &["HGET", "key", "f765432"]), "765432".into());
    assert_eq!(ask(&mut engine, &["DEL", "key"]), Answer::Integer(1));
    check_empty(engine);
}

#[test]
fn a_set() {
    let Some(mut engine) = filled("SADD", |number| vec![format!("m{number}")]) else { return };
    assert_eq!(len(&ask(&mut engine, &["SMEMBERS", "key"])), ELEMENTS);
    assert_eq!(len(&ask(&mut engine, &["SRANDMEMBER", "key", "600000"])), 600_000);
    assert_eq!(len(&ask(&mut engine, &["SPOP", "key", "900000"])), 900_000);
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(ask(&mut engine, &["SCARD", "key"]), Answer::Integer(100_000));
    assert_eq!(len(&ask(&mut engine, &["SPOP", "key", &i64::MAX.to_string()])), 100_000);
    check_empty(engine);
}

#[test]
fn a_sorted_set() {
    let scored = |number: usize| vec![(number / 3).to_string(), format!("m{number:07}")];
    let Some(mut engine) = filled("ZADD", scored) else { return };
    let whole = ask(&mut engine, &["ZRANGE", "key", "0", "-1"]);
    let Answer::Array(items) = &whole else { panic!("an array, not {whole}") };
    assert!(items.len() == ELEMENTS && items.is_sorted());
    assert_eq!(ask(&mut engine, &["ZRANK", "key", "m0765432"]), Answer::Integer(765_432));
    let removed = ask(&mut engine, &["ZREMRANGEBYRANK", "key", "1000", "-1001"]);
    assert_eq!(removed, Answer::Integer(ELEMENTS as i64 - 2_000));
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(len(&ask(&mut engine, &["ZPOPMAX", "key", &i64::MAX.to_string()])), 4_000);
    check_empty(engine);
}

#[test]
fn a_stream() {
    if ferrite_engine::find(b"XADD").is_none() {
        return;
    }
    let mut engine = Engine::new(&Options { max_memory_bytes: BUDGET_BYTES, ..Options::default() });
    for number in 0..ELEMENTS {
        let (id, value) = (format!("{}-{}", number / 3, number % 3 + 1), number.to_string());
        let added = ask(&mut engine, &["XADD", "key", &id, "name", "value", "number", &value]);
        assert_eq!(added, id.as_str().into());
    }
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(ask(&mut engine, &["XLEN", "key"]), Answer::Integer(ELEMENTS as i64));
    let whole = ask(&mut engine, &["XRANGE", "key", "-", "+"]);
    let Answer::Array(mut items) = whole else { panic!("an array, not {whole}") };
    let Answer::Array(back) = ask(&mut engine, &["XREVRANGE", "key", "+", "-"]) else { panic!() };
    items.reverse();
    assert!(items.len() == ELEMENTS && items == back);
    drop((items, back));
    assert_eq!(ask(&mut engine, &["XGROUP", "CREATE", "key", "group", "0"]), Answer::ok());
    for consumer in ["anna", "bert"].iter().cycle().take(10) {
        let request = ["XREADGROUP", "GROUP", "group", consumer, "COUNT", "100000", "STREAMS"];
        let given = ask(&mut engine, &[&request[..], &["key", ">"]].concat());
        let Answer::Array(streams) = &given else { panic!("an array, not {given}") };
        let Answer::Array(stream) = &streams[0] else { panic!("an array, not {given}") };
        assert_eq!(len(&stream[1]), 100_000);
    }
    engine.keys.validate().expect("a sound keyspace");
    let removed = ask(&mut engine, &["XGROUP", "DELCONSUMER", "key", "group", "anna"]);
    assert_eq!(removed, Answer::Integer(500_000));
    for number in (100_000..200_000).chain(500_000..550_000) {
        let id = format!("{}-{}", number / 3, number % 3 + 1);
        // The second of each two batches was given to the one who is left.
        assert_eq!(ask(&mut engine, &["XACK", "key", "group", &id]), Answer::Integer(1));
    }
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(ask(&mut engine, &["XGROUP", "DESTROY", "key", "group"]), Answer::Integer(1));
    assert_eq!(ask(&mut engine, &["XTRIM", "key", "MAXLEN", "500000"]), Answer::Integer(500_000));
    engine.keys.validate().expect("a sound keyspace");
    assert_eq!(ask(&mut engine, &["DEL", "key"]), Answer::Integer(1));
    check_empty(engine);
}

/// However often large values are written over, what is still to be taken apart stays small.
#[test]
fn large_values_that_are_written_over() {
    let value = vec![b'x'; 4 << 20];
    let mut engine = Engine::new(&Options { max_memory_bytes: 1 << 30, ..Options::default() });
    for round in 0..100 {
        let key = format!("key:{}", round % 2).into_bytes();
        engine.ask(&[b"SET".to_vec(), key, value.clone()]);
        let used = engine.keys.stats().used_memory;
        assert!(used < 6 * value.len() as u64, "{used} bytes after {round} rounds");
    }
    engine.keys.validate().expect("a sound keyspace");
}
