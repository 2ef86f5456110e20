//! Values such as caches hold: what repeats from one to the next is what repeats in real ones, the
//! names of fields and a vocabulary; identifiers, times, amounts and texts are drawn anew.
//! Invariant: the same dice give the same values.

use std::fmt::Write;
use std::sync::LazyLock;

use crate::random::Random;

/// What a cache may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// A customer's record as JSON, about 1 KB.
    Customer,
    /// A product as JSON, with a text, about 1 KB.
    Product,
    /// An answer of an interface: rows of numbers and identifiers, about 1.5 KB.
    Listing,
    /// A session as JSON, about 250 bytes.
    Session,
    /// A fragment of a page, about 2 KB.
    Fragment,
    /// A counter's state, about 90 bytes.
    Counter,
    /// A signed token: nothing in it repeats but its head.
    Token,
    /// Bytes of a picture: nothing repeats.
    Noise,
}

impl Shape {
    /// Every shape with its name.
    pub const ALL: [(&'static str, Shape); 8] = [
        ("customer JSON 1 KB", Shape::Customer),
        ("product JSON 1 KB", Shape::Product),
        ("listing JSON 1.5 KB", Shape::Listing),
        ("session JSON 250 B", Shape::Session),
        ("HTML fragment 2 KB", Shape::Fragment),
        ("counter JSON 90 B", Shape::Counter),
        ("signed token 500 B", Shape::Token),
        ("random bytes 1 KB", Shape::Noise),
    ];

    /// One such value.
    pub fn value(self, random: &mut Random) -> Vec<u8> {
        match self {
            Shape::Customer => customer(random).into_bytes(),
            Shape::Product => product(random).into_bytes(),
            Shape::Listing => listing(random).into_bytes(),
            Shape::Session => session(random).into_bytes(),
            Shape::Fragment => fragment(random).into_bytes(),
            Shape::Counter => counter(random).into_bytes(),
            Shape::Token => token(random).into_bytes(),
            Shape::Noise => (0..1000).map(|_| random.number() as u8).collect(),
        }
    }
}

type Words = LazyLock<Vec<&'static str>>;

fn words(text: &'static str) -> Vec<&'static str> {
    text.split_whitespace().collect()
}

static FIRST_NAMES: Words = LazyLock::new(|| {
    words(
        "Ada Alan Amara Anders Anita Arjun Aylin Beatriz Bruno Carla Chen Chloe \
    Daniel Dmitri Elena Emeka Emma Farid Fatima Felix Freya Giulia Grace Hana Hassan Hiro Ines \
    Ivan Jack Jamila Jan Jorge Julia Kofi Lars Laura Leila Liam Linh Lucas Magda Maria Mateo Mei \
    Mina Mohamed Nadia Nia Nils Noah Olga Omar Paula Pavel Pedro Priya Rafael Ravi Rosa Ruth Sara \
    Sofia Sven Tara Thabo Tomas Uma Victor Wei Yara Yusuf Zoe",
    )
});
static LAST_NAMES: Words = LazyLock::new(|| {
    words(
        "Adeyemi Ahmed Alvarez Andersson Bauer Bergstrom Brown Chen Costa Dubois \
    Eriksen Fernandez Fischer Garcia Gupta Haddad Hansen Hoffmann Ibrahim Ito Ivanov Jensen \
    Johnson Kaya Kim Kovacs Kowalski Kumar Larsen Lee Lopez Martin Mbeki Meyer Moreau Mueller \
    Nakamura Nguyen Novak Okafor Olsen Park Patel Pereira Petrov Popescu Rossi Santos Sato \
    Schmidt Silva Singh Smith Sokolov Suzuki Tanaka Torres Tran Varga Wagner Walker Wang Weber \
    Williams Wilson Wright Yamamoto Yilmaz Zhang",
    )
});
static CITIES: Words = LazyLock::new(|| {
    words(
        "Amsterdam Athens Auckland Bangalore Barcelona Berlin Bogota Boston Brisbane \
    Brussels Budapest Cairo Chicago Copenhagen Dakar Denver Dublin Geneva Hamburg Helsinki \
    Istanbul Jakarta Krakow Lagos Lima Lisbon London Lyon Madrid Manila Melbourne Milan Montreal \
    Mumbai Munich Nairobi Osaka Oslo Paris Porto Prague Pune Riga Rome Seoul Singapore Sofia \
    Stockholm Sydney Taipei Tallinn Tokyo Toronto Turin Vienna Vilnius Warsaw Zagreb Zurich",
    )
});
static WORDS: Words = LazyLock::new(|| {
    words(
        "the of and to a in for is on that with as are it this be at or by from an can \
    your you our has all more will which its when one use time work made water light day small \
    every hand over after long home each most other form than first well line keep good open \
    paper soft cotton steel wood glass leather wool colour dark blue green grey black white warm \
    cold strong thin heavy round flat short wide deep high side front back cover pocket strap \
    seam handle base frame lid cup plate bowl lamp chair table shelf desk bag coat shirt shoe hat \
    scarf glove belt watch ring clock radio phone cable battery charger screen speaker camera \
    lens print book map pen pencil brush paint canvas garden plant seed soil stone path gate fence \
    roof wall door window floor carpet curtain pillow blanket towel mirror basket box jar bottle \
    kettle pan pot knife fork spoon oven stove fridge sink tap soap candle match fire smoke wind \
    rain snow sun moon star sea river lake hill forest field road bridge tower market street \
    village city train boat bike wheel engine motor pump valve pipe wire switch button sensor \
    machine tool hammer nail screw drill saw bench ladder rope chain lock key recycled organic \
    durable portable adjustable waterproof lightweight compact removable washable dishwasher \
    machine-washable hand-finished stainless natural certified designed tested weather resistant \
    comfortable everyday travel kitchen outdoor season collection workshop family original",
    )
});

fn word(random: &mut Random, words: &Words) -> &'static str {
    // The first words of a long vocabulary are the frequent ones.
    let is_frequent = words.len() > 100 && random.one_in(3);
    words[random.below(if is_frequent { 30 } else { words.len() })]
}

fn of(random: &mut Random, digits: &[u8], len: usize) -> String {
    (0..len).map(|_| digits[random.below(digits.len())] as char).collect()
}

fn hex(random: &mut Random, len: usize) -> String {
    of(random, b"0123456789abcdef", len)
}

fn base62(random: &mut Random, len: usize) -> String {
    of(random, b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", len)
}

fn uuid(random: &mut Random) -> String {
    [8, 4, 4, 4, 12].map(|len| hex(random, len)).join("-")
}

fn time(random: &mut Random) -> String {
    let mut below = |bound| random.below(bound);
    format!(
        "202{}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
        3 + below(4),
        1 + below(12),
        1 + below(28),
        below(24),
        below(60),
        below(60),
        below(1000)
    )
}

fn money(random: &mut Random) -> String {
    format!("{}.{:02}", random.below(300), random.below(100))
}

fn text(random: &mut Random, words: usize) -> String {
    let mut text = String::new();
    for number in 0..words {
        let word = word(random, &WORDS);
        let starts = number == 0 || text.ends_with('.');
        text += if number > 0 { " " } else { "" };
        match word.split_at(1) {
            (first, rest) if starts => text += &(first.to_uppercase() + rest),
            _ => text += word,
        }
        if number + 1 == words || random.one_in(11) {
            text.push('.');
        }
    }
    text
}

fn customer(random: &mut Random) -> String {
    let (first, last) = (word(random, &FIRST_NAMES), word(random, &LAST_NAMES));
    let host = random.pick(&["gmail.com", "outlook.com", "proton.me", "example.org", "yahoo.com"]);
    let mut out = format!(
        r#"{{"id":"cus_{}","object":"customer","email":"{}.{}{}@{host}","name":"{first} {last}","#,
        base62(random, 14),
        first.to_lowercase(),
        last.to_lowercase(),
        random.below(100)
    );
    let _ = write!(
        out,
        r#""createdAt":"{}","updatedAt":"{}","verified":{},"plan":"{}","locale":"{}","#,
        time(random),
        time(random),
        random.one_in(2),
        random.pick(&["free", "basic", "pro", "team", "enterprise"]),
        random.pick(&["en-US", "en-GB", "de-DE", "fr-FR", "es-ES", "pt-BR", "ja-JP", "it-IT"])
    );
    let _ = write!(
        out,
        r#""address":{{"line1":"{} {} {}","city":"{}","postalCode":"{:05}","country":"{}"}},"#,
        1 + random.below(250),
        word(random, &LAST_NAMES),
        random.pick(&["Street", "Avenue", "Road", "Lane"]),
        word(random, &CITIES),
        random.below(100_000),
        random.pick(&["US", "GB", "DE", "FR", "ES", "BR", "JP", "IT", "NL", "SE", "PL", "IN"])
    );
    out += r#""orders":["#;
    for number in 0..3 + random.below(2) {
        let _ = write!(
            out,
            "{}{{\"orderId\":\"{}\",\"sku\":\"{}-{}\",\"quantity\":{},\"amount\":{},\
             \"currency\":\"{}\",\"status\":\"{}\"}}",
            if number > 0 { "," } else { "" },
            uuid(random),
            of(random, b"ABCDEFGHKLMNPRSTUVWXYZ", 3),
            10_000 + random.below(90_000),
            1 + random.below(5),
            money(random),
            random.pick(&["EUR", "USD", "GBP"]),
            random.pick(&["paid", "shipped", "delivered", "refunded", "pending"])
        );
    }
    let _ = write!(
        out,
        r#"],"balance":{},"tags":["{}","{}"],"lastLoginIp":"{}.{}.{}.{}"}}"#,
        money(random),
        word(random, &WORDS),
        word(random, &WORDS),
        random.below(256),
        random.below(256),
        random.below(256),
        random.below(256)
    );
    out
}

fn product(random: &mut Random) -> String {
    let name = [0; 3].map(|_| word(random, &WORDS));
    let mut out = format!(
        r#"{{"sku":"{}","slug":"{}-{}","title":"{}","description":"{}","price":{{"amount":{},"#,
        of(random, b"ABCDEFGHKLMNPRSTUVWXYZ0123456789", 10),
        name.join("-"),
        random.below(100_000),
        name.join(" "),
        { text(random, 70) },
        money(random)
    );
    let _ = write!(
        out,
        "\"currency\":\"EUR\",\"taxRate\":0.{}}},\"stock\":{{\"available\":{},\"reserved\":{},\
         \"warehouse\":\"{}\"}},",
        random.pick(&[7, 19, 21]),
        random.below(2_000),
        random.below(40),
        word(random, &CITIES)
    );
    let _ = write!(
        out,
        "\"rating\":{{\"average\":{}.{},\"count\":{}}},\
         \"images\":[\"https://img.example.com/p/{}.webp\",\"https://img.example.com/p/{}.webp\"],",
        1 + random.below(4),
        random.below(10),
        random.below(3_000),
        hex(random, 24),
        hex(random, 24)
    );
    let _ = write!(
        out,
        r#""categories":["{}","{}"],"weightGrams":{},"updatedAt":"{}"}}"#,
        word(random, &WORDS),
        word(random, &WORDS),
        random.below(9_000),
        time(random)
    );
    out
}

fn listing(random: &mut Random) -> String {
    let mut out = String::from(r#"{"data":["#);
    for number in 0..12 {
        let _ = write!(
            out,
            "{}{{\"id\":{},\"lat\":{}.{:06},\"lon\":{}.{:06},\"speed\":{}.{},\"heading\":{},\
             \"at\":{}}}",
            if number > 0 { "," } else { "" },
            1_000_000 + random.below(9_000_000),
            random.below(90),
            random.below(1_000_000),
            random.below(180),
            random.below(1_000_000),
            random.below(130),
            random.below(10),
            random.below(360),
            1_700_000_000_000_u64 + random.below(100_000_000_000) as u64
        );
    }
    let (next, total) = (base62(random, 22), random.below(10_000));
    let _ = write!(out, r#"],"next":"{next}","total":{total}}}"#);
    out
}

fn session(random: &mut Random) -> String {
    format!(
        "{{\"sid\":\"{}\",\"userId\":{},\"csrf\":\"{}\",\"roles\":[\"{}\"],\"createdAt\":{},\
         \"expiresAt\":{},\"ua\":\"Mozilla/5.0 ({}) Chrome/{}.0.0.0\"}}",
        base62(random, 24),
        random.below(5_000_000),
        hex(random, 32),
        random.pick(&["user", "admin", "editor", "viewer"]),
        1_700_000_000 + random.below(100_000_000),
        1_800_000_000 + random.below(100_000_000),
        random.pick(&[
            "Windows NT 10.0; Win64; x64",
            "Macintosh; Intel Mac OS X 10_15_7",
            "X11; Linux x86_64",
            "Linux; Android 14"
        ]),
        118 + random.below(20)
    )
}

fn fragment(random: &mut Random) -> String {
    let mut out = String::from("<section class=\"results\">\n");
    for _ in 0..5 {
        let title = text(random, 5);
        let _ = write!(
            out,
            "  <article class=\"card card--compact\" data-id=\"{}\">\n    <a href=\"/articles/{}\">\
             <h3>{title}</h3></a>\n    <p class=\"byline\">{} {}, <time datetime=\"{}\"></time>\
             </p>\n\
             \x20   <p>{}</p>\n  </article>\n",
            hex(random, 12),
            title.to_lowercase().replace([' ', '.'], "-"),
            word(random, &FIRST_NAMES),
            word(random, &LAST_NAMES),
            time(random),
            text(random, 30)
        );
    }
    out + "</section>\n"
}

fn counter(random: &mut Random) -> String {
    format!(
        r#"{{"window":{},"hits":{},"limit":{},"resetAt":{},"blocked":{}}}"#,
        28_000_000 + random.below(1_000_000),
        random.below(500),
        random.pick(&[60, 100, 600, 1000]),
        1_700_000_000 + random.below(100_000_000),
        random.one_in(20)
    )
}

fn token(random: &mut Random) -> String {
    let parts = [300, 160].map(|len| base62(random, len));
    format!("eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.{}.{}", parts[0], parts[1])
}
