//! The databases, each behind its own lock.
//!
//! Invariant: [`Held`] is the only place that locks a database. It holds none, one, or all of them,
//! taken in order, so nobody waits in a circle. A pipeline's commands run under one lock.
//! Invariant: what changes under one lock reaches the log as one unit, before the lock is given
//! back: so the log has the order of each database, and a transaction is in it as a whole.
//! Invariant: all databases together keep to one budget: what the others held when the lock was
//! taken counts in each.
//!
//! Not here: what is done with a database; and shards of one (see ARCHITECTURE.md).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ferrite_engine::{Keyspace, Options, Policy, Stats, limits};
use parking_lot::{Mutex, MutexGuard};

use crate::checkpoint::Chain;
use crate::limits::{KEPT_BUFFER_BYTES, ROOM_BYTES, ROOM_STEPS};
use crate::lounge;
use crate::news::News;
use crate::persist::entry;
use crate::persist::log::Log;
use crate::waiting::{Served, Waiting};
use crate::watch::Watched;

/// One database: its keys, and who waits for a change of them.
pub struct Database {
    /// The keys. In a box, so that they can be lent to a function that runs.
    pub keys: Box<Keyspace>,
    /// Who wants to know whether a key has changed.
    pub watched: Watched,
    /// Who is blocked until a key has something to give.
    pub waiting: Waiting,
    /// Whom else changes may concern.
    pub news: Arc<News>,
    /// Its number.
    pub number: usize,
    /// Whether changes go to the log.
    pub is_logged: bool,
    /// Changes since the lock was taken, as the log's entries.
    pub effects: Vec<u8>,
    /// Commands that waited and were served since then.
    pub served: Vec<Served>,
    budget: Budget,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Budget {
    max_bytes: u64,
    others_bytes: u64,
}

impl Database {
    fn new(number: usize, options: &Options, news: &Arc<News>) -> Database {
        let keys = Keyspace::new(options).or_else(|_| Keyspace::new(&Options::default()));
        #[allow(clippy::expect_used, reason = "the configuration's range is the engine's")]
        let keys = keys.expect("a budget the engine can work in");
        Database {
            keys: Box::new(keys),
            watched: Watched::default(),
            waiting: Waiting::default(),
            news: Arc::clone(news),
            number,
            is_logged: false,
            effects: Vec::new(),
            served: Vec::new(),
            budget: Budget { max_bytes: options.max_memory_bytes, others_bytes: 0 },
        }
    }

    /// Whether anybody listens to what changes here.
    #[inline]
    pub fn has_listeners(&self) -> bool {
        self.news.is_wanted() || !self.watched.is_empty() || !self.waiting.is_empty()
    }

    /// Its figures, without what other databases hold.
    pub fn stats(&self) -> Stats {
        let stats = self.keys.stats();
        let used_memory = stats.used_memory.saturating_sub(self.budget.others_bytes);
        Stats { used_memory, ..stats }
    }

    /// What its keyspace goes by, without what other databases hold.
    pub fn options(&self) -> Options {
        let max_memory_bytes = self.budget.max_bytes;
        Options { max_memory_bytes, policy: self.keys.policy(), ..Options::default() }
    }

    /// Puts other keys in the place of those that are there, for which `options` were asked. Who
    /// watches or waits for a key hears of it.
    pub fn install(&mut self, keys: Keyspace) {
        let forms = self.keys.forms();
        *self.keys = keys;
        self.keys.set_forms(forms);
        self.budget = Budget { others_bytes: 0, ..self.budget };
        self.watched.touch_where(|_| true);
        self.waiting.note_all();
    }

    /// Swaps the keys of two databases. Who watches or waits for a key that is there now, or was,
    /// hears of it.
    pub fn swap_keys(&mut self, other: &mut Database, now_ms: i64) {
        let touch = |from: &mut Database, to: &mut Database| {
            let Database { keys, watched, .. } = from;
            let mut cx = keys.at(now_ms);
            watched.touch_where(|key| cx.is_there(key));
            to.watched.touch_where(|key| cx.is_there(key));
        };
        touch(self, other);
        touch(other, self);
        std::mem::swap(&mut self.keys, &mut other.keys);
        std::mem::swap(&mut self.budget, &mut other.budget);
        // What changed in them cannot follow what a checkpoint has under their numbers.
        self.keys.forget_base();
        other.keys.forget_base();
        self.waiting.note_all();
        other.waiting.note_all();
    }

    /// Lets the keys take whatever memory they need, until the budget is restored.
    pub fn lift_budget(&mut self) {
        let _ = self.keys.set_max_memory(limits::MEMORY_BYTES_MAX, 0);
    }

    /// Gives the keys their budget again, after it was lifted for a moment.
    pub fn restore_budget(&mut self) {
        // It is the budget that they had.
        let _ = self.keys.set_max_memory(self.budget.max_bytes, self.budget.others_bytes);
    }

    /// Appends what has changed to a buffer.
    fn give_effects(&mut self, buffer: &mut Vec<u8>) {
        if !self.effects.is_empty() {
            entry::put_database(buffer, self.number);
            buffer.extend_from_slice(&self.effects);
            self.effects.clear();
            if self.effects.capacity() > KEPT_BUFFER_BYTES {
                self.effects = Vec::new();
            }
        }
    }

    /// Whether the lock's end has something to do.
    #[inline]
    fn is_unsettled(&self) -> bool {
        !self.effects.is_empty() || !self.served.is_empty()
    }

    fn set_budget(&mut self, budget: Budget) {
        if budget != self.budget
            && self.keys.set_max_memory(budget.max_bytes, budget.others_bytes).is_ok()
        {
            self.budget = budget;
        }
    }
}

/// How long a lock is waited for before a look at who waits for this thread.
const WAIT: Duration = Duration::from_millis(5);

struct Slot {
    database: Mutex<Database>,
    used_bytes: AtomicU64,
}

/// All databases.
pub struct Databases {
    slots: Box<[Slot]>,
    /// Where changes go.
    pub log: Arc<Log>,
    /// The budget of all together; 0 for none.
    max_bytes: AtomicU64,
    chain: Mutex<Chain>,
    /// The server ends, and waits for no checkpoint.
    gives_up: AtomicBool,
    /// The same of the one that is being written, until the next is begun.
    drops: AtomicBool,
}

impl Databases {
    /// So many databases, empty.
    pub fn new(
        count: usize,
        max_bytes: u64,
        policy: Policy,
        seeds: impl Fn() -> u64,
        news: &Arc<News>,
    ) -> Databases {
        let own_max = if max_bytes == 0 { limits::MEMORY_BYTES_MAX } else { max_bytes };
        let own_max = own_max.max(limits::MEMORY_BYTES_MIN);
        let slot = |number| {
            let seed = seeds();
            let options = Options { max_memory_bytes: own_max, policy, seed, ..Options::default() };
            let database = Mutex::new(Database::new(number, &options, news));
            Slot { database, used_bytes: AtomicU64::new(0) }
        };
        let slots = (0..count).map(slot).collect();
        let databases = Databases {
            slots,
            log: Arc::default(),
            max_bytes: AtomicU64::new(max_bytes),
            chain: Mutex::default(),
            gives_up: AtomicBool::new(false),
            drops: AtomicBool::new(false),
        };
        databases.each(|_, _| {});
        databases
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.slots.len()
    }

    /// The budget of all together; 0 for none.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes.load(Ordering::Relaxed)
    }

    /// Gives all together another budget, which each database hears of when it is next locked.
    pub fn set_max_bytes(&self, max_bytes: u64) {
        self.max_bytes.store(max_bytes, Ordering::Relaxed);
    }

    /// The checkpoints that there are of them, locked against whoever else would write one.
    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock()
    }

    /// No checkpoint is wanted any more, nor the one that is being written.
    pub fn give_up_checkpoints(&self) {
        self.gives_up.store(true, Ordering::Release);
    }

    /// Whether the checkpoint that is being written is not wanted any more. The next one is.
    pub fn drop_checkpoint(&self, is_unwanted: bool) {
        self.drops.store(is_unwanted, Ordering::Release);
    }

    /// Whether the checkpoint that is being written is to be given up.
    pub fn gives_up_checkpoint(&self) -> bool {
        self.gives_up.load(Ordering::Acquire) || self.drops.load(Ordering::Acquire)
    }

    /// A holder of locks that has none yet.
    pub fn hold(&self) -> Held<'_> {
        Held { databases: self, guards: Guards::None, unit: Vec::new(), logged_to: 0 }
    }

    /// How many changes of keys there were since they are in memory.
    pub fn changes(&self) -> u64 {
        let mut changes = 0;
        self.each(|_, database| changes += database.keys.changes());
        changes
    }

    /// The database that holds most, of all but one.
    pub fn largest_but(&self, index: usize) -> Option<usize> {
        let used = |other: &usize| self.slots[*other].used_bytes.load(Ordering::Relaxed);
        (0..self.count()).filter(|other| *other != index).max_by_key(used)
    }

    /// Does something with each database in turn.
    pub fn each(&self, mut act: impl FnMut(usize, &mut Database)) {
        for index in 0..self.count() {
            act(index, self.hold().get(index));
        }
    }

    fn lock(&self, index: usize) -> MutexGuard<'_, Database> {
        loop {
            match self.lock_unless(index, || true) {
                Some(guard) => break guard,
                // Whoever holds it may be a script that runs for long.
                None => lounge::serve(),
            }
        }
    }

    /// Locks a database, unless that takes a while and then is not to be waited for any longer.
    #[inline]
    fn lock_unless(
        &self,
        index: usize,
        is_enough: impl Fn() -> bool,
    ) -> Option<MutexGuard<'_, Database>> {
        let mutex = &self.slots[index].database;
        let mut guard = match mutex.try_lock() {
            Some(guard) => guard,
            None => loop {
                if let Some(guard) = mutex.try_lock_for(WAIT) {
                    break guard;
                }
                if is_enough() {
                    return None;
                }
            },
        };
        guard.set_budget(self.budget_of(index));
        Some(guard)
    }

    fn budget_of(&self, index: usize) -> Budget {
        let max_bytes = self.max_bytes.load(Ordering::Relaxed);
        if max_bytes == 0 {
            // Without a budget each goes as far as its addresses reach.
            return Budget { max_bytes: limits::MEMORY_BYTES_MAX, others_bytes: 0 };
        }
        let others = self.slots.iter().enumerate().filter(|(other, _)| *other != index);
        let others_bytes: u64 =
            others.map(|(_, slot)| slot.used_bytes.load(Ordering::Relaxed)).sum();
        // What a smaller budget lacks counts as taken by others: so no more is used than it allows,
        // and every key that the policy lets go does.
        let lacking = limits::MEMORY_BYTES_MIN.saturating_sub(max_bytes);
        Budget { max_bytes: max_bytes + lacking, others_bytes: others_bytes + lacking }
    }

    fn note_used(&self, index: usize, database: &Database) {
        self.slots[index].used_bytes.store(database.stats().used_memory, Ordering::Relaxed);
    }
}

/// The locks that somebody holds.
pub struct Held<'d> {
    databases: &'d Databases,
    guards: Guards<'d>,
    /// What changed in several databases, in order.
    unit: Vec<u8>,
    /// The position behind the last change that was made under a lock given back by now.
    pub logged_to: u64,
}

enum Guards<'d> {
    None,
    One(usize, MutexGuard<'d, Database>),
    All(Vec<MutexGuard<'d, Database>>),
}

impl<'d> Held<'d> {
    /// A database, locked if it is not yet; another one that was is given back.
    #[inline]
    pub fn get(&mut self, index: usize) -> &mut Database {
        match &self.guards {
            Guards::All(_) => {}
            Guards::One(held, _) if *held == index => {}
            _ => {
                self.release();
                self.guards = Guards::One(index, self.databases.lock(index));
            }
        }
        match &mut self.guards {
            Guards::One(_, guard) => guard,
            Guards::All(guards) => &mut guards[index],
            Guards::None => unreachable!("it was locked just now"),
        }
    }

    /// Locks a database, or all where there is no one in particular, unless it is known by then
    /// that whoever holds it takes long. Whether it is locked.
    #[inline]
    pub fn reach(&mut self, index: Option<usize>, takes_long: impl Fn() -> bool) -> bool {
        match index {
            Some(index) if self.has(index) => true,
            None if self.has_all() => true,
            Some(index) => {
                self.release();
                let guard = self.databases.lock_unless(index, takes_long);
                self.guards = guard.map_or(Guards::None, |guard| Guards::One(index, guard));
                self.has(index)
            }
            None => {
                self.release();
                let lock = |index| self.databases.lock_unless(index, &takes_long);
                let guards: Option<_> = (0..self.databases.count()).map(lock).collect();
                self.guards = guards.map_or(Guards::None, Guards::All);
                self.has_all()
            }
        }
    }

    /// Locks every database, until all are given back.
    pub fn take_all(&mut self) {
        if !matches!(self.guards, Guards::All(_)) {
            self.release();
            let count = self.databases.count();
            let guards = (0..count).map(|index| self.databases.lock(index)).collect();
            self.guards = Guards::All(guards);
        }
    }

    /// Two databases at once. All are locked for that.
    pub fn get_two(&mut self, one: usize, other: usize) -> (&mut Database, &mut Database) {
        self.take_all();
        let Guards::All(guards) = &mut self.guards else { unreachable!("all are locked") };
        let [one, other] = guards.get_disjoint_mut([one, other]).expect("two different databases");
        (one, other)
    }

    /// Whether a database is locked.
    pub fn has(&self, index: usize) -> bool {
        match &self.guards {
            Guards::None => false,
            Guards::One(held, _) => *held == index,
            Guards::All(_) => true,
        }
    }

    /// Whether every database is locked.
    pub fn has_all(&self) -> bool {
        matches!(self.guards, Guards::All(_))
    }

    /// Forgets what was changed under the locks that are held, so that the log never has it: the
    /// server ends, and nobody asks for the keys any more.
    pub fn forget_changes(&mut self) {
        self.unit.clear();
        match &mut self.guards {
            Guards::None => {}
            Guards::One(_, guard) => guard.effects.clear(),
            Guards::All(guards) => guards.iter_mut().for_each(|guard| guard.effects.clear()),
        }
    }

    /// Lets what is locked hear of a budget that has changed.
    pub fn refresh(&mut self) {
        match &mut self.guards {
            Guards::None => {}
            Guards::One(index, guard) => guard.set_budget(self.databases.budget_of(*index)),
            Guards::All(guards) => (0..).zip(guards).for_each(|(index, guard)| {
                guard.set_budget(self.databases.budget_of(index));
            }),
        }
    }

    /// Swaps the keys of two databases, as the log will do again.
    pub fn swap(&mut self, one: usize, other: usize, now_ms: i64) {
        let (first, second) = self.get_two(one, other);
        first.swap_keys(second, now_ms);
        if first.is_logged
            && let Guards::All(guards) = &mut self.guards
        {
            guards.iter_mut().for_each(|guard| guard.give_effects(&mut self.unit));
            entry::put_swap(&mut self.unit, one, other);
        }
    }

    /// Notes a command that concerns no key, for the log to do again. All databases are locked.
    pub fn note_command(&mut self, request: &[&[u8]]) {
        let Guards::All(guards) = &mut self.guards else { unreachable!("all are locked") };
        if guards.iter().any(|guard| guard.is_logged) {
            // What changed before it stands before it.
            guards.iter_mut().for_each(|guard| guard.give_effects(&mut self.unit));
            entry::put_command(&mut self.unit, request);
        }
    }

    /// Has another database, the one that holds most, evict for what this one lacks: each evicts
    /// only its own keys, but the budget is one. False if it has nothing to give. What was locked
    /// is given back for that.
    pub fn make_room(&mut self, own: usize, now_ms: i64) -> bool {
        let Some(other) = self.databases.largest_but(own) else { return false };
        self.get(other).with(now_ms, |cx| cx.give_back(ROOM_BYTES, ROOM_STEPS))
    }

    /// How much has changed in the one database that is locked.
    #[inline]
    pub fn effects_bytes(&self) -> usize {
        if let Guards::One(_, guard) = &self.guards { guard.effects.len() } else { 0 }
    }

    /// Gives back whatever is locked.
    #[inline]
    pub fn release(&mut self) {
        let is_unsettled = match &self.guards {
            Guards::None => return,
            Guards::One(index, guard) => {
                self.databases.note_used(*index, guard);
                guard.is_unsettled()
            }
            Guards::All(guards) => {
                (0..).zip(guards).for_each(|(index, guard)| self.databases.note_used(index, guard));
                !self.unit.is_empty() || guards.iter().any(|guard| guard.is_unsettled())
            }
        };
        if is_unsettled {
            self.settle();
        }
        self.guards = Guards::None;
    }

    /// Brings to the log what has changed, and lets those know who waited for that.
    fn settle(&mut self) {
        let guards = match &mut self.guards {
            Guards::None => &mut [][..],
            Guards::One(_, guard) => std::slice::from_mut(guard),
            Guards::All(guards) => guards,
        };
        if !self.unit.is_empty() || guards.iter().any(|guard| !guard.effects.is_empty()) {
            self.logged_to = self.databases.log.append(|buffer| {
                buffer.append(&mut self.unit);
                guards.iter_mut().for_each(|guard| guard.give_effects(buffer));
            });
        }
        for guard in guards {
            guard.served.drain(..).for_each(|served| served.deliver(self.logged_to));
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
