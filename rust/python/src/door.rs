//! The one door for long calls.
//!
//! The work runs on its own thread and never touches Python. The calling thread waits without holding the interpreter and
//! wakes [`WAKE`] by [`WAKE`] to run pending signal handlers (Ctrl-C) and to call the progress callback; whatever either raises
//! stops the work at its next [`Progress::step`] and is raised again once the work has returned. A panic becomes an `EngineError`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use underwater_engine::error::Result;
use underwater_engine::progress::Progress;

use crate::error;

/// The calling thread wakes this often.
const WAKE: Duration = Duration::from_millis(50);

/// Where the work is, and whether it should stop.
#[derive(Clone, Copy, PartialEq, Eq)]
struct State {
    report: Option<(&'static str, u64, u64)>,
    stop: bool,
    finished: bool,
}

/// Shared by the calling thread and the work.
struct Desk {
    state: Mutex<State>,
    wake: Condvar,
}

impl Desk {
    fn new() -> Self {
        Self {
            state: Mutex::new(State {
                report: None,
                stop: false,
                finished: false,
            }),
            wake: Condvar::new(),
        }
    }

    /// No code panics while it holds the lock, so a poisoned state is still sound.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn finish(&self) {
        self.lock().finished = true;
        self.wake.notify_all();
    }

    /// Sleeps until the work has finished, at most for [`WAKE`].
    fn wait(&self) -> State {
        let state = self.lock();
        let waited = self.wake.wait_timeout_while(state, WAKE, |state| !state.finished);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *state
    }
}

impl Progress for Desk {
    fn step(&self, phase: &'static str, done: u64, total: u64) -> bool {
        let mut state = self.lock();
        // Threads report out of order: within a phase only forwards.
        if state.report.is_none_or(|(last, most, _)| last != phase || done > most) {
            state.report = Some((phase, done, total));
        }
        !state.stop
    }
}

/// Runs `work` while the interpreter is free; `progress` is called with `(phase, done, total)` at most 20 times a second and
/// once at the end.
pub fn run<T, F>(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>, work: F) -> PyResult<T>
where
    T: Send,
    F: FnOnce(&dyn Progress) -> Result<T> + Send,
{
    check(progress)?;
    let desk = Desk::new();
    let (outcome, raised) = thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let outcome = catch_unwind(AssertUnwindSafe(|| work(&desk)));
            desk.finish();
            outcome
        });
        let raised = watch(py, progress, &desk);
        // The work is done, or has been told to stop; neither needs the interpreter.
        (py.detach(|| worker.join()), raised)
    });
    raised?;
    match outcome {
        Ok(Ok(result)) => result.map_err(|error| error::to_py(py, error)),
        Ok(Err(panic)) | Err(panic) => Err(error::from_panic(panic.as_ref())),
    }
}

/// Refuses a progress callback that cannot be called.
pub fn check(progress: Option<&Bound<'_, PyAny>>) -> PyResult<()> {
    match progress.filter(|callback| !callback.is_callable()) {
        None => Ok(()),
        Some(callback) => {
            let kind = callback.get_type();
            let message = format!("progress: expected a callable (phase, done, total) or None, got {kind}");
            Err(PyTypeError::new_err(message))
        }
    }
}

/// Waits for the work; on a signal or an exception of the callback tells it to stop and returns what was raised.
fn watch(py: Python<'_>, progress: Option<&Bound<'_, PyAny>>, desk: &Desk) -> PyResult<()> {
    let mut told = None;
    loop {
        let state = py.detach(|| desk.wait());
        let heard = py.check_signals().and_then(|()| match (progress, state.report) {
            (Some(callback), Some(report)) if told != state.report => {
                told = state.report;
                callback.call1(report).map(|_| ())
            }
            _ => Ok(()),
        });
        if heard.is_err() {
            desk.lock().stop = true;
            return heard;
        }
        if state.finished {
            return Ok(());
        }
    }
}
