//! Access lists: who may use the server, and for what.
//!
//! A connection is a user, at first the default one. Whoever may do everything is never asked
//! anything; of all others each request is looked at before it is run ([`User::denial`]), and so is
//! each command that a script or a function runs for them.
//!
//! Invariant: a change of a user holds for all of its connections from their next batch of requests
//! on: they look whether anything has changed ([`Access::has_changed`]).
//!
//! The rules are Redis 7.0's. Not here: commands (commands/acl.rs).

pub mod file;
pub mod log;
pub mod rule;
pub mod selector;
pub mod user;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::acl::log::Log;
use crate::acl::rule::merged;
use crate::acl::user::{DEFAULT, User};

/// All users, and what was denied to them.
pub struct Access {
    users: RwLock<Users>,
    version: AtomicU64,
    log: Mutex<Log>,
}

/// All users, by name. The default one is always among them.
pub type Users = BTreeMap<Box<[u8]>, Arc<User>>;

/// Who a connection is, as of when it last looked.
pub struct Login {
    /// The user.
    pub user: Arc<User>,
    /// Whether it may do everything.
    pub is_unrestricted: bool,
    version: u64,
}

impl Login {
    /// The user, unless it may do everything.
    pub fn restricted_user(&self) -> Option<Arc<User>> {
        (!self.is_unrestricted).then(|| Arc::clone(&self.user))
    }
}

impl Access {
    /// With these users.
    pub fn new(users: Users) -> Access {
        Access { users: RwLock::new(users), version: AtomicU64::new(0), log: Mutex::default() }
    }

    /// The user of this name.
    pub fn find(&self, name: &[u8]) -> Option<Arc<User>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All users, by name.
    pub fn all(&self) -> Vec<Arc<User>> {
        self.users.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The user that connections are at first.
    pub fn default_user(&self) -> Arc<User> {
        self.find(DEFAULT).unwrap_or_else(|| Arc::new(User::new(DEFAULT, false)))
    }

    /// Whether whoever comes is the default user without saying a password.
    pub fn is_open(&self) -> bool {
        let user = self.default_user();
        user.is_on && user.has_no_password
    }

    /// Changes which users there are, or what they are.
    pub fn change<T>(&self, change: impl FnOnce(&mut Users) -> T) -> T {
        let mut users = self.users.write().unwrap_or_else(PoisonError::into_inner);
        let outcome = change(&mut users);
        self.version.fetch_add(1, Ordering::Release);
        outcome
    }

    /// Gives the default user the password that is a setting.
    pub fn set_password(&self, password: &str) {
        self.change(|users| {
            let user = users.entry(DEFAULT.into()).or_insert_with(|| User::unrestricted().into());
            Arc::make_mut(user).set_password(password);
        });
    }

    /// Somebody becomes a user.
    pub fn login(&self, name: &[u8]) -> Login {
        let version = self.version.load(Ordering::Acquire);
        let user = self.find(name).unwrap_or_else(|| Arc::new(User::new(name, false)));
        Login { is_unrestricted: user.is_unrestricted(), user, version }
    }

    /// Whether what a connection knows of its user may be out of date.
    #[inline]
    pub fn has_changed(&self, login: &Login) -> bool {
        self.version.load(Ordering::Acquire) != login.version
    }

    /// What was denied.
    pub fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A user with rules applied to it: all of them, or none and what is wrong.
///
/// # Errors
/// The rule that is wrong, and why.
pub fn with_rules(mut user: User, rules: &[&[u8]], has_all_channels: bool) -> Result<User, String> {
    let rules = merged(rules).map_err(|begun| {
        let begun = String::from_utf8_lossy(&begun).into_owned();
        format!("Unmatched parenthesis in acl selector starting at '{begun}'.")
    })?;
    for rule in rules {
        user.apply(&rule, has_all_channels).map_err(|why| {
            let rule = String::from_utf8_lossy(&rule);
            format!("Error in ACL SETUSER modifier '{rule}': {why}")
        })?;
    }
    Ok(user)
}

/// Whether a user may be called so.
pub fn is_name(name: &[u8]) -> bool {
    !name.iter().any(|byte| byte.is_ascii_whitespace() || *byte == 0)
}
