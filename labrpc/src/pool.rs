//! The network's own threads: handlers that may block and asynchronous calls run on them. There are as many as were
//! ever busy at once; the one that became idle last is used next, because its stack is still warm.
//!
//! An idle worker is the sending half of its channel, kept in a stack. Whoever has a job takes it out and sends it
//! along with the job, so that the worker can put it back: a worker whose sender is dropped knows that it is no longer
//! wanted.

use labstd::channel::{self, Receiver, Sender};
use labstd::sync::{Arc, Mutex};
use labstd::thread::{self, Group};

/// What a worker does once.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// An elastic set of threads.
pub(crate) struct Pool {
    /// What the workers belong to while they are idle.
    group: Group,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Arc<Sender<Task>>>,
    /// How many workers were ever started.
    started: u64,
    /// No worker stays idle any more.
    closed: bool,
}

struct Task {
    job: Job,
    /// Whom it is done for, if not for the pool's own group.
    group: Option<Group>,
    /// The worker's own sender, to be put back among the idle.
    worker: Arc<Sender<Task>>,
}

impl Pool {
    /// A pool without workers, whose threads will belong to `group`.
    pub(crate) fn new(group: Group) -> Arc<Pool> {
        Arc::new(Pool { group, state: Mutex::default() })
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Has a worker do `job`, now, however many are busy. A pool that is closed still takes jobs.
    pub(crate) fn run(self: &Arc<Pool>, job: Job) {
        self.run_in(None, job);
    }

    /// As [`run`](Pool::run), in this `group` if it is one.
    pub(crate) fn run_in(self: &Arc<Pool>, group: Option<Group>, job: Job) {
        let (idle, number) = {
            let mut state = self.state.lock();
            let idle = state.idle.pop();
            state.started += u64::from(idle.is_none());
            (idle, state.started)
        };
        match idle {
            Some(sender) => {
                let task = Task { job, group, worker: Arc::clone(&sender) };
                // An idle worker waits for its one task, unless it unwinds with the rest of a run that is over.
                let _ = sender.send(task);
            }
            None => self.start_worker(number, group, job),
        }
    }

    /// Tells idle workers to end, and the others to end with the job that they do. Does not wait for them.
    pub(crate) fn close(&self) {
        let idle = {
            let mut state = self.state.lock();
            state.closed = true;
            std::mem::take(&mut state.idle)
        };
        drop(idle);
    }

    fn start_worker(self: &Arc<Pool>, number: u64, group: Option<Group>, job: Job) {
        let (sender, tasks) = channel::bounded(1);
        let first = Task { job, group, worker: Arc::new(sender) };
        let pool = Arc::clone(self);
        self.group.enter(|| {
            thread::spawn(format!("rpc-worker-{number}"), move || pool.work(first, &tasks));
        });
    }

    /// The life of a worker.
    fn work(&self, first: Task, tasks: &Receiver<Task>) {
        let mut next = Some(first);
        while let Some(Task { job, group, worker }) = next {
            match group {
                Some(group) => group.enter(job),
                None => job(),
            }
            {
                let mut state = self.state.lock();
                if state.closed {
                    return;
                }
                state.idle.push(worker);
            }
            next = tasks.recv().ok();
        }
    }
}
