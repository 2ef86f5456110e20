//! Numbers kept as text: INCR and DECR, which count in integers, and INCRBYFLOAT.
//!
//! Not here: how numbers are read and printed (num.rs, float.rs).

use crate::command::{Args, Arity, DENYOOM, EDGE, FAST, Group, Keys, Spec, WRITE, docs};
use crate::error::{Error, Result};
use crate::float::{Float, FloatText};
use crate::keyspace::Cx;
use crate::num::{Digits, integer};
use crate::reply::Reply;
use crate::string::deadline_of;
use crate::string::set::{Expiry, SetOptions};
use crate::write::Draft;

impl Cx<'_> {
    /// INCRBY: adds to an integer, which starts at zero. The sum.
    pub fn incr_by(&mut self, key: &[u8], change: i64) -> Result<i64> {
        let hash = self.keys.hash(key);
        // At the edge the code for it would weigh more than the time is worth.
        if cfg!(feature = "shortcuts")
            && !cfg!(target_arch = "wasm32")
            && let Some(sum) = self.increment_in_place(key, hash, change)?
        {
            return Ok(sum);
        }
        let found = self.find_string(key, hash)?;
        let old = match self.value_of(found) {
            Some(value) => integer(value.as_slice().ok_or(Error::NotAnInteger)?)?,
            None => 0,
        };
        let sum = old.checked_add(change).ok_or(Error::Overflow)?;
        let digits = Digits::new(sum);
        let deadline = deadline_of(&found);
        let mut text = digits.as_bytes();
        let draft = Draft::new(key, hash, text.len(), deadline, found)?;
        self.replace(draft, &mut text)?;
        self.tell_increment(key, change);
        self.grow_index();
        Ok(sum)
    }

    /// The same where the sum is as long as what is there.
    fn increment_in_place(&mut self, key: &[u8], hash: u64, change: i64) -> Result<Option<i64>> {
        let Some((place, addr, text)) = self.keys.locate_text(key, hash) else { return Ok(None) };
        let Some(text) = text.filter(|text| !self.is_past(text.deadline)) else {
            return Ok(None);
        };
        let old = self.keys.arena.record(addr).and_then(|cell| text.of(cell));
        let sum = integer(old.unwrap_or_default())?.checked_add(change).ok_or(Error::Overflow)?;
        let (digits, deadline) = (Digits::new(sum), text.deadline);
        let mut digits = digits.as_bytes();
        if !self.keys.overwrite_text(place, addr, &text, &mut digits, deadline) {
            return Ok(None);
        }
        self.tell_increment(key, change);
        Ok(Some(sum))
    }

    fn tell_increment(&mut self, key: &[u8], change: i64) {
        if self.is_heard() {
            let change = Digits::new(change);
            self.emit(&["INCRBY".into(), key.into(), change.as_bytes().into()]);
        }
    }

    /// INCRBYFLOAT: adds to a number, which starts at zero. The sum, as it is then stored.
    ///
    /// ```
    /// use ferrite_engine::{FloatText, Keyspace, Options};
    ///
    /// let mut keys = Keyspace::new(&Options::default())?;
    /// let mut text = FloatText::new();
    /// assert_eq!(keys.at(1).incr_by_float(b"price", b"10.50", &mut text)?, b"10.5");
    /// assert_eq!(keys.at(1).incr_by_float(b"price", b"5.0e-1", &mut text)?, b"11");
    /// # Ok::<(), ferrite_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotAFloat`] for either number, [`Error::NotFinite`] for the sum,
    /// [`Error::WrongType`], [`Error::OutOfMemory`].
    pub fn incr_by_float<'t>(
        &mut self,
        key: &[u8],
        change: &[u8],
        text: &'t mut FloatText,
    ) -> Result<&'t [u8]> {
        let found = self.find_string(key, self.keys.hash(key))?;
        let old = match self.value_of(found) {
            Some(value) => text.read(value).ok_or(Error::NotAFloat)?,
            None => Float::ZERO,
        };
        let change = Float::parse(change).ok_or(Error::NotAFloat)?;
        let sum = old.add(&change).ok_or(Error::NotFinite)?.print(text);
        self.set(key, sum, &SetOptions { expiry: Expiry::Keep, ..SetOptions::default() })?;
        Ok(sum)
    }
}

/// What the rows of INCR and its three sisters share.
const INCR_ROW: Spec = Spec {
    name: "incr",
    arity: Arity::Exactly(2),
    keys: Keys::FIRST,
    flags: WRITE | DENYOOM | FAST | EDGE,
    group: Group::String,
    since: docs("1.0.0"),
    syntax: docs("key"),
    summary: docs("Adds one to an integer, which starts at zero."),
    run: |cx, args, reply| add(cx, args, reply, 1),
};

pub(crate) const COMMANDS: &[Spec] = &[
    Spec {
        name: "decr",
        summary: docs("Subtracts one from an integer, which starts at zero."),
        run: |cx, args, reply| add(cx, args, reply, -1),
        ..INCR_ROW
    },
    Spec {
        name: "decrby",
        arity: Arity::Exactly(3),
        syntax: docs("key decrement"),
        summary: docs("Subtracts from an integer, which starts at zero."),
        run: |cx, args, reply| add(cx, args, reply, -1),
        ..INCR_ROW
    },
    INCR_ROW,
    Spec {
        name: "incrby",
        arity: Arity::Exactly(3),
        syntax: docs("key increment"),
        summary: docs("Adds to an integer, which starts at zero."),
        ..INCR_ROW
    },
    #[cfg(feature = "float")]
    Spec {
        name: "incrbyfloat",
        arity: Arity::Exactly(3),
        since: docs("2.6.0"),
        syntax: docs("key increment"),
        summary: docs("Adds to a number, which starts at zero and may have decimals."),
        run: incrbyfloat,
        ..INCR_ROW
    },
];

/// INCR, INCRBY, DECR and DECRBY: without an amount it is one.
fn add(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply, sign: i64) -> Result<()> {
    let key = args.required();
    let amount = match args.next() {
        Some(amount) => integer(amount)?,
        None => 1,
    };
    if sign < 0 && amount == i64::MIN {
        return Err(Error::DecrementOverflow);
    }
    reply.integer(cx.incr_by(key, sign * amount)?);
    Ok(())
}

fn incrbyfloat(cx: &mut Cx<'_>, args: &mut Args<'_>, reply: &mut dyn Reply) -> Result<()> {
    let mut text = FloatText::new();
    reply.bulk(cx.incr_by_float(args.required(), args.required(), &mut text)?.into());
    Ok(())
}
