//! How long a thread has computed, as other threads see it.
//!
//! What takes a while on the wall's clock may not have run at all: on a busy machine a thread waits
//! for its processor for longer than a function takes. The kernel counts what each thread ran.

use std::mem::MaybeUninit;
use std::time::Duration;

/// The clock of a thread.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ThreadClock(pub libc::clockid_t);

thread_local! {
    static OWN: Option<ThreadClock> = own();
}

fn own() -> Option<ThreadClock> {
    let mut clock = MaybeUninit::uninit();
    // SAFETY: the thread is the one that asks, so it is there; the number is written if 0 comes.
    let status = unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), clock.as_mut_ptr()) };
    // SAFETY: as above.
    (status == 0).then(|| ThreadClock(unsafe { clock.assume_init() }))
}

impl ThreadClock {
    /// That of this thread. None if the system has none.
    #[inline]
    pub fn own() -> Option<ThreadClock> {
        OWN.with(|own| *own)
    }

    /// How long its thread has run. None if it has ended.
    pub fn now(self) -> Option<Duration> {
        let mut time = MaybeUninit::<libc::timespec>::uninit();
        // SAFETY: whatever the number stands for, the kernel looks at it, and writes the time, for
        // which there is room, if 0 comes.
        let status = unsafe { libc::clock_gettime(self.0, time.as_mut_ptr()) };
        if status != 0 {
            return None;
        }
        // SAFETY: as above.
        let time = unsafe { time.assume_init() };
        let nanoseconds = u32::try_from(time.tv_nsec).ok()?;
        Some(Duration::new(u64::try_from(time.tv_sec).ok()?, nanoseconds))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn a_thread_is_seen_to_compute_and_to_end() {
        let (clocks, clock) = mpsc::channel();
        let (over, is_over) = mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            let own = ThreadClock::own().expect("this system has it");
            let started = own.now().expect("it runs");
            while own.now().expect("it runs") < started + Duration::from_millis(2) {}
            clocks.send(own).expect("somebody waits");
            // It is there, and does nothing.
            let _ = is_over.recv();
        });
        let clock = clock.recv().expect("it gets that far");
        assert_ne!(Some(clock), ThreadClock::own());
        assert!(clock.now().expect("it is there") >= Duration::from_millis(2));
        drop(over);
        thread.join().expect("it ends");
        assert_eq!(clock.now(), None);
    }
}
