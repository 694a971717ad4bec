//! Threads that work on one file together: none waits for one that is gone, and what ended it is told.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::worker::MORE_MEMORY;
use crate::error::{Error, ErrorKind, Result, Stage};

/// The error of a thread that the system refuses.
pub fn no_thread(stage: Stage, cause: std::io::Error) -> Error {
    Error::new(stage, ErrorKind::Internal, "a thread can't be started").because(cause).advise(MORE_MEMORY)
}

/// Does the work and turns a panic in it into an error, which reaches whoever waits for this thread. What the work left
/// half-done must not be used again.
pub fn guarded<T>(stage: Stage, who: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|cause| Err(panicked(stage, who, &*cause)))
}

fn panicked(stage: Stage, who: &str, cause: &(dyn Any + Send)) -> Error {
    let words = cause.downcast_ref::<&str>().copied().or(cause.downcast_ref::<String>().map(String::as_str));
    Error::new(stage, ErrorKind::Internal, format!("{who} panicked"))
        .because(words.unwrap_or("without a word").to_owned())
}

/// A queue that several threads take turns with.
pub struct SharedQueue<T>(Mutex<Option<Receiver<T>>>);

impl<T> SharedQueue<T> {
    pub fn new(queue: Receiver<T>) -> Self {
        Self(Mutex::new(Some(queue)))
    }

    /// The next thing; `None` when no more come, or when the queue is closed.
    pub fn next(&self) -> Option<T> {
        self.0.lock().unwrap_or_else(|e| e.into_inner()).as_ref()?.recv().ok()
    }

    /// Nobody shall work on: whoever sends fails from now on.
    pub fn close(&self) {
        *self.0.lock().unwrap_or_else(|e| e.into_inner()) = None;
    }
}

/// Runs `work` on a thread for each of `states`; they take turns with what `feed` sends, of which `waiting` wait at most.
/// Gives what each thread and what feeding came to. Once a thread has failed, sending fails, and all end.
pub fn share_out<S: Send, T: Send, R: Send, F>(
    states: Vec<S>,
    waiting: usize,
    work: impl Fn(&mut S, &SharedQueue<T>) -> Result<R> + Sync,
    feed: impl FnOnce(&SyncSender<T>) -> Result<F>,
) -> Result<(Vec<Result<R>>, Result<F>)> {
    const WHO: &str = "the search";
    let (send, receive) = sync_channel(waiting);
    let queue = SharedQueue::new(receive);
    std::thread::scope(|scope| {
        let send = send;
        let mut threads = Vec::new();
        for (number, mut state) in states.into_iter().enumerate() {
            let (queue, work) = (&queue, &work);
            let run = move || {
                let done = guarded(Stage::Verify, WHO, || work(&mut state, queue));
                if done.is_err() {
                    queue.close();
                }
                done
            };
            let thread = std::thread::Builder::new().name(format!("search-{number}"));
            threads.push(thread.spawn_scoped(scope, run).map_err(|e| no_thread(Stage::Verify, e))?);
        }
        let fed = feed(&send);
        drop(send);
        let panicked = |cause: Box<dyn Any + Send>| Err(panicked(Stage::Verify, WHO, &*cause));
        let done = threads.into_iter().map(|t| t.join().unwrap_or_else(panicked)).collect();
        Ok((done, fed))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_an_error_with_its_words() {
        for (work, words) in [
            ((|| panic!("no such thing")) as fn() -> Result<()>, "no such thing"),
            (|| panic!("frame {}", 7), "frame 7"),
            (|| std::panic::panic_any(7), "without a word"),
        ] {
            let error = guarded(Stage::Track, "the tracker", work).unwrap_err();
            assert_eq!((error.stage(), error.kind()), (Stage::Track, ErrorKind::Internal));
            let told = error.to_string();
            assert!(told.contains("the tracker panicked") && told.contains(words), "{told}");
        }
        assert_eq!(guarded(Stage::Track, "the tracker", || Ok(7)).unwrap(), 7);
    }

    #[test]
    fn one_thread_that_fails_ends_all() {
        type Work = fn(&mut u32, &SharedQueue<u32>) -> Result<()>;
        let fails: Work = |state, queue| {
            while let Some(n) = queue.next() {
                if *state == 0 && n >= 3 {
                    return Err(Error::new(Stage::Verify, ErrorKind::Internal, "no more"));
                }
            }
            Ok(())
        };
        let panics: Work = |state, queue| {
            while let Some(n) = queue.next() {
                assert!(*state != 0 || n < 3, "no more");
            }
            Ok(())
        };
        for work in [fails, panics] {
            // It would be fed for ever.
            let feed = |send: &SyncSender<u32>| (0..).try_for_each(|n| send.send(n)).map_err(|_| no_listener());
            let (done, fed) = share_out(vec![0, 1, 2], 2, work, feed).unwrap();
            assert!(fed.is_err());
            let errors: Vec<String> = done.into_iter().filter_map(|d| Some(d.err()?.to_string())).collect();
            assert!(errors.len() == 1 && errors[0].contains("no more"), "{errors:?}");
        }
    }

    fn no_listener() -> Error {
        Error::new(Stage::Verify, ErrorKind::Internal, "nobody listens")
    }
}
