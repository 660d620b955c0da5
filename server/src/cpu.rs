//! The processors that evaluate frames: their own threads, admission counted in elements, and a fair order.
//!
//! Small frames go first, because somebody waits for an upload; bulk takes turns between platforms. After
//! `SMALL_IN_A_ROW` small frames a bulk frame has its turn. The order alone keeps nobody's place free, so admission has
//! shares (`Shares`): bulk leaves a reserve to small frames, and no platform takes all of either.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use tokio::sync::oneshot;
use veilmatch_protocol::name::PlatformId;

use crate::Error;

/// Largest frame that counts as small.
const SMALL: usize = 16;

/// Small frames that may overtake waiting bulk in a row.
const SMALL_IN_A_ROW: u32 = 16;

/// What an element costs on one core without vector units, for the time that a refused peer is told to wait.
const PER_ELEMENT: Duration = Duration::from_micros(35);

/// Too many elements wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded {
    /// When about half of them will have been worked off.
    pub retry_after: Duration,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoResult {
    /// It was not admitted.
    Overloaded(Overloaded),
    /// The work panicked, or the pool is gone.
    Lost,
}

type Job = Box<dyn FnOnce() + Send>;

struct Queued {
    platform: PlatformId,
    elements: usize,
    job: Job,
}

impl Queued {
    fn is_small(&self) -> bool {
        self.elements <= SMALL
    }
}

/// How the elements that may wait are shared out.
#[derive(Debug, Clone, Copy)]
struct Shares {
    /// All together.
    all: usize,
    /// Frames larger than [`SMALL`], of all platforms: the rest is kept for small ones.
    bulk: usize,
    /// The same of one platform.
    bulk_of_one: usize,
    /// Small frames of one platform.
    small_of_one: usize,
}

impl Shares {
    fn of(all: usize) -> Self {
        Self { all, bulk: all - all / 8, bulk_of_one: all / 2, small_of_one: all / 16 }
    }
}

/// Elements queued or in work.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Held {
    small: usize,
    bulk: usize,
}

impl Held {
    fn of(&mut self, small: bool) -> &mut usize {
        if small { &mut self.small } else { &mut self.bulk }
    }

    fn all(self) -> usize {
        self.small + self.bulk
    }
}

#[derive(Default)]
struct Queue {
    small: VecDeque<Queued>,
    bulk: HashMap<PlatformId, VecDeque<Queued>>,
    // Platforms with bulk waiting, in the order of their turns.
    turns: VecDeque<PlatformId>,
    small_in_a_row: u32,
    held: Held,
    held_by: HashMap<PlatformId, Held>,
    closed: bool,
}

impl Queue {
    // A frame for which nothing of its sort waits is within every share, however small the configuration made them.
    fn admits(&self, queued: &Queued, shares: &Shares) -> bool {
        let fits = |held: usize, share: usize| held == 0 || held + queued.elements <= share;
        let of_one = self.held_by.get(&queued.platform).copied().unwrap_or_default();
        let within = if queued.is_small() {
            fits(of_one.small, shares.small_of_one)
        } else {
            fits(self.held.bulk, shares.bulk) && fits(of_one.bulk, shares.bulk_of_one)
        };
        within && self.held.all() + queued.elements <= shares.all
    }

    fn push(&mut self, queued: Queued) {
        let small = queued.is_small();
        *self.held.of(small) += queued.elements;
        *self.held_by.entry(queued.platform.clone()).or_default().of(small) += queued.elements;
        if small {
            self.small.push_back(queued);
            return;
        }
        let waiting = self.bulk.entry(queued.platform.clone()).or_default();
        if waiting.is_empty() {
            self.turns.push_back(queued.platform.clone());
        }
        waiting.push_back(queued);
    }

    // A frame that was pushed is done.
    fn release(&mut self, platform: &PlatformId, elements: usize) {
        let small = elements <= SMALL;
        *self.held.of(small) -= elements;
        let Some(of_one) = self.held_by.get_mut(platform) else { return };
        *of_one.of(small) -= elements;
        if *of_one == Held::default() {
            self.held_by.remove(platform);
        }
    }

    fn pop(&mut self) -> Option<Queued> {
        let bulk_waits = !self.turns.is_empty();
        if !(bulk_waits && self.small_in_a_row >= SMALL_IN_A_ROW)
            && let Some(small) = self.small.pop_front()
        {
            self.small_in_a_row += 1;
            return Some(small);
        }
        self.small_in_a_row = 0;
        let platform = self.turns.pop_front()?;
        let waiting = self.bulk.get_mut(&platform)?;
        let queued = waiting.pop_front();
        if waiting.is_empty() {
            self.bulk.remove(&platform);
        } else {
            self.turns.push_back(platform);
        }
        queued
    }
}

struct Shared {
    queue: Mutex<Queue>,
    work: Condvar,
}

impl Shared {
    // Jobs run outside the lock and cannot poison it; the queue is whole after every statement under it.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A fixed number of threads and a bounded queue.
pub struct CpuPool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    shares: Shares,
}

impl CpuPool {
    /// Starts `threads` threads (0: one per processor) that admit `most_elements` elements.
    ///
    /// # Errors
    /// [`Error::Io`] if a thread cannot be started.
    pub fn start(threads: usize, most_elements: usize) -> Result<Self, Error> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let shared = Arc::new(Shared { queue: Mutex::default(), work: Condvar::new() });
        let start = |number| {
            let shared = Arc::clone(&shared);
            std::thread::Builder::new()
                .name(format!("evaluate-{number}"))
                .spawn(move || run(&shared))
                .map_err(Error::io("start", std::path::Path::new("an evaluation thread")))
        };
        let threads = (0..threads).map(start).collect::<Result<_, _>>()?;
        Ok(Self { shared, threads, shares: Shares::of(most_elements) })
    }

    /// Runs `work` for a frame of `elements` elements when it is its turn.
    ///
    /// # Errors
    /// [`NoResult::Overloaded`] at once if too much waits, of all or of this platform; [`NoResult::Lost`] if the work panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        platform: &PlatformId,
        elements: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NoResult> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move || {
            // Nobody waits any more if the call was cut off: then the work is left out, or its result dropped, which
            // gives back what it had reserved.
            if !done.is_closed() {
                drop(done.send(work()));
            }
        });
        self.admit(Queued { platform: platform.clone(), elements, job }).map_err(NoResult::Overloaded)?;
        result.await.map_err(|_| NoResult::Lost)
    }

    fn admit(&self, queued: Queued) -> Result<(), Overloaded> {
        let mut queue = self.shared.queue();
        if !queue.admits(&queued, &self.shares) {
            let threads = u32::try_from(self.threads.len().max(1)).unwrap_or(u32::MAX);
            let half = u32::try_from(queue.held.all() / 2).unwrap_or(u32::MAX);
            let retry_after = (PER_ELEMENT * half / threads).max(Duration::from_millis(50));
            return Err(Overloaded { retry_after });
        }
        queue.push(queued);
        self.shared.work.notify_one();
        Ok(())
    }

    /// Elements that are queued or in work.
    #[must_use]
    pub fn elements(&self) -> usize {
        self.shared.queue().held.all()
    }
}

impl Drop for CpuPool {
    fn drop(&mut self) {
        self.shared.queue().closed = true;
        self.shared.work.notify_all();
        for thread in self.threads.drain(..) {
            // A panic of the thread was reported where it happened.
            drop(thread.join());
        }
    }
}

fn run(shared: &Shared) {
    let mut queue = shared.queue();
    loop {
        if let Some(Queued { platform, elements, job }) = queue.pop() {
            drop(queue);
            if catch_unwind(AssertUnwindSafe(job)).is_err() {
                tracing::error!(reason = "INTERNAL", "the evaluation of a frame panicked");
            }
            queue = shared.queue();
            queue.release(&platform, elements);
        } else if queue.closed {
            return;
        } else {
            queue = shared.work.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn platform(name: &str) -> PlatformId {
        PlatformId::parse(name).unwrap()
    }

    fn queued(name: &str, elements: usize) -> Queued {
        Queued { platform: platform(name), elements, job: Box::new(|| ()) }
    }

    // Pushes frames of one size until one is refused; gives how many were admitted.
    fn fill(queue: &mut Queue, shares: &Shares, name: &str, elements: usize) -> usize {
        let mut admitted = 0;
        while queue.admits(&queued(name, elements), shares) {
            queue.push(queued(name, elements));
            admitted += 1;
        }
        admitted
    }

    fn sizes(queue: &mut Queue) -> Vec<usize> {
        std::iter::from_fn(|| queue.pop().map(|queued| queued.elements)).collect()
    }

    #[test]
    fn small_frames_overtake_bulk_but_do_not_starve_it() {
        let mut queue = Queue::default();
        queue.push(queued("a", 4_096));
        queue.push(queued("a", 1_024));
        for _ in 0..20 {
            queue.push(queued("b", 1));
        }
        let order = sizes(&mut queue);
        assert_eq!(order[..16], [1; 16]);
        assert_eq!(order[16], 4_096);
        assert_eq!(order[17..21], [1; 4]);
        assert_eq!(order[21], 1_024);
    }

    #[test]
    fn platforms_take_turns_with_bulk() {
        let mut queue = Queue::default();
        for _ in 0..3 {
            queue.push(queued("greedy", 4_096));
        }
        queue.push(queued("modest", 256));
        assert_eq!(sizes(&mut queue), [4_096, 256, 4_096, 4_096]);
        assert!(queue.bulk.is_empty());
    }

    #[test]
    fn bulk_of_everybody_leaves_room_for_single_checks_of_everybody() {
        // Admission was one sum: sixteen full frames of two scans shut out every platform's single checks, and those of
        // the scanning platforms themselves.
        let shares = Shares::of(65_536);
        let mut queue = Queue::default();
        let bulk = ["a", "b", "c"].map(|name| fill(&mut queue, &shares, name, 4_096));
        assert_eq!(bulk, [8, 6, 0], "half for one, seven eighths for all");
        let single = ["a", "b", "c", "d"].map(|name| fill(&mut queue, &shares, name, 1));
        assert_eq!(single, [4_096, 4_096, 0, 0], "the reserve, and half of it for one");
        assert_eq!(queue.held.all(), 65_536);
    }

    #[test]
    fn one_platforms_flood_of_single_checks_leaves_room_for_the_others() {
        let shares = Shares::of(65_536);
        let mut queue = Queue::default();
        assert_eq!(fill(&mut queue, &shares, "flood", 1), 4_096);
        assert_eq!(fill(&mut queue, &shares, "other", 16), 256);
        assert_eq!(fill(&mut queue, &shares, "flood", 256), 128);
    }

    #[test]
    fn what_is_done_gives_its_share_back() {
        let shares = Shares::of(65_536);
        let mut queue = Queue::default();
        fill(&mut queue, &shares, "a", 4_096);
        fill(&mut queue, &shares, "a", 1);
        while let Some(done) = queue.pop() {
            queue.release(&done.platform, done.elements);
        }
        assert_eq!(queue.held, Held::default());
        assert!(queue.held_by.is_empty());
    }

    #[test]
    fn the_smallest_queue_still_takes_each_frame_when_it_is_empty() {
        let shares = Shares::of(8_192);
        for elements in [1, 4, 16, 256, 1_024, 4_096] {
            assert!(Queue::default().admits(&queued("a", elements), &shares), "{elements}");
        }
    }

    // The place is free again a moment after the result is there.
    async fn idle(pool: &CpuPool) {
        while pool.elements() > 0 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn more_elements_than_may_wait_are_refused_with_a_time() {
        let pool = CpuPool::start(1, 4_096).unwrap();
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let a = platform("a");
        let first = pool.run(&a, 4_096, move || wait.recv());
        let second = pool.run(&a, 1, || ());
        let (_, refused) = tokio::join!(
            async {
                let _ = first.await;
            },
            async {
                let refused = second.await;
                go.send(()).unwrap();
                refused
            }
        );
        assert!(matches!(refused, Err(NoResult::Overloaded(over)) if over.retry_after >= Duration::from_millis(50)));
        idle(&pool).await;
        assert_eq!(pool.run(&a, 4_096, || 7).await, Ok(7));
    }

    #[tokio::test]
    async fn a_panic_loses_one_frame_and_no_thread() {
        let pool = CpuPool::start(1, 16).unwrap();
        let a = platform("a");
        for _ in 0..3 {
            assert_eq!(pool.run(&a, 16, || panic!("on purpose")).await, Err::<(), _>(NoResult::Lost));
            idle(&pool).await;
        }
        assert_eq!(pool.run(&a, 16, || 7).await, Ok(7));
    }
}
