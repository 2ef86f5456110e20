//! DEBUG RELOAD: all databases go through an image and come back, without a file.

use std::sync::{Arc, Mutex, PoisonError};

use ferrite_engine::{Broken, Image, Pages};

use crate::database::Databases;

/// Gives pieces to an image as they come.
#[derive(Clone)]
struct Direct(Arc<Mutex<State>>);

struct State {
    image: Image,
    broken: Option<Broken>,
}

impl Pages for Direct {
    fn piece(&mut self, head: &[u8], bytes: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(broken) = state.image.take(&[head, bytes].concat()) {
            state.broken = Some(broken);
        }
    }
}

/// Makes images of all databases, and opens them in their place. Nobody is served meanwhile.
///
/// # Errors
/// What is wrong with an image; the databases are then as they were.
pub fn reload(databases: &Databases) -> Result<(), Broken> {
    let mut chain = databases.chain();
    // What is in memory then follows the images, not the files.
    chain.forget();
    let mut held = databases.hold();
    held.take_all();
    let mut opened = Vec::new();
    for index in 0..databases.count() {
        let database = held.get(index);
        let state = State { image: Image::new(), broken: None };
        let direct = Direct(Arc::new(Mutex::new(state)));
        database.keys.begin_snapshot(true, &mut || Box::new(direct.clone()));
        while database.keys.write_snapshot(usize::MAX / 2) {}
        let mut state = direct.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(broken) = state.broken {
            return Err(broken);
        }
        opened.push(std::mem::take(&mut state.image).open(&database.options())?);
    }
    for (index, keys) in opened.into_iter().enumerate() {
        held.get(index).install(keys);
    }
    Ok(())
}
