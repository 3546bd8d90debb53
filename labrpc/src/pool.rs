//! The network's own threads. They run handlers that may block, and asynchronous calls. The pool has as many workers as
//! were ever busy at once. The worker that became idle last is used next, because its stack is still in the cache.
//!
//! The pool keeps the sending half of each idle worker's channel in a stack. To start a job, it takes a sender out and
//! sends it along with the job, so that the worker can put it back later. A worker whose sender was dropped ends.

use labstd::channel::{self, Receiver, Sender};
use labstd::sync::{Arc, Mutex};
use labstd::thread::{self, Group};

/// One piece of work for a worker.
pub(crate) type Job = Box<dyn FnOnce() + Send>;

/// An elastic set of threads.
pub(crate) struct Pool {
    /// The group of the idle workers.
    group: Group,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Arc<Sender<Task>>>,
    /// Number of workers that were ever started.
    started: u64,
    /// If set, workers end instead of becoming idle.
    closed: bool,
}

struct Task {
    job: Job,
    /// The group that the job runs in, if it is not the pool's own.
    group: Option<Group>,
    /// The worker's own sender, which the worker puts back among the idle ones.
    worker: Arc<Sender<Task>>,
}

impl Pool {
    /// Makes a pool without workers, whose threads will belong to `group`.
    pub(crate) fn new(group: Group) -> Arc<Pool> {
        Arc::new(Pool { group, state: Mutex::default() })
    }

    pub(crate) fn group(&self) -> &Group {
        &self.group
    }

    /// Runs `job` on a worker at once, however many workers are busy. A closed pool still takes jobs.
    pub(crate) fn run(self: &Arc<Pool>, job: Job) {
        self.run_in(None, job);
    }

    /// Runs `job` on a worker like [`run`](Pool::run), inside `group` if there is one.
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
                // The worker waits for this task, unless it unwinds with the rest of a finished run.
                let _ = sender.send(task);
            }
            None => self.start_worker(number, group, job),
        }
    }

    /// Tells idle workers to end now, and busy workers to end after their present job. Does not wait for them.
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

    /// Runs tasks on a worker thread until the worker is no longer needed.
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
