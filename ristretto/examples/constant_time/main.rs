//! What `scripts/constant-time` runs and reads: every operation on secrets, and controls that leak them.
//!
//! - `constant_time poisoned`, under valgrind's memcheck: marks secrets as undefined, so that memcheck reports every
//!   jump and every address that depends on one. Prints what each operation got, and fails if an operation got a report
//!   or a control got none.
//! - `constant_time count KEYS`, under callgrind: has it write a profile for every operation and key.
//! - `constant_time controls` calls the functions of [`leaks`], so that they are there to be read.

#![allow(unsafe_code, reason = "talks to valgrind, and leaks on purpose; no part of the library")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

#[cfg(target_arch = "x86_64")]
mod leaks;

use rand::{RngExt, SeedableRng, rngs::StdRng};
use veilmatch_ristretto::{Backend, FixedBase, Points, Scalar, SharedScalar, invert_scalars};

/// Elements of a batch: more than one group of eight, and a part of one.
const N: usize = 11;

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["poisoned"] => poisoned(),
        ["count", keys] => count(keys.parse().expect("a number of keys")),
        #[cfg(target_arch = "x86_64")]
        ["controls"] => leaks::call_all(),
        _ => panic!("constant_time poisoned | count KEYS | controls"),
    }
}

/// What is public, and the secrets of one run.
struct World {
    decoded: Points,
    table: FixedBase,
    uniform: Vec<[u8; 64]>,
    scalars: Vec<Scalar>,
    weights: Vec<u128>,
    out: Vec<[u8; 32]>,
    digests: Vec<[u8; 64]>,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut public = StdRng::seed_from_u64(1);
        let uniform: Vec<[u8; 64]> = (0..N).map(|_| public.random()).collect();
        let mut out = vec![[0; 32]; N];
        Backend::PORTABLE.from_uniform(&uniform).multiply_each(&[Scalar::ONE; N], &mut out);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut scalars: Vec<_> = (0..N).map(|_| Scalar::from_bytes_mod_order_wide(&rng.random())).collect();
        // Small, sparse and extreme ones among the random.
        match seed {
            0 => scalars.fill(Scalar::ONE),
            1 => scalars.fill(-Scalar::ONE),
            2..60 => scalars.fill((0..4 * seed).fold(Scalar::ONE, |power, _| power + power)),
            _ => {}
        }
        Self {
            decoded: Backend::PORTABLE.decode(&out).expect("just encoded"),
            table: Backend::PORTABLE.fixed_base(&out[0]).expect("just encoded"),
            uniform: (0..N).map(|_| rng.random()).collect(),
            scalars,
            weights: (0..N).map(|_| rng.random()).collect(),
            out,
            digests: vec![[0; 64]; N],
        }
    }
}

/// What is run, by name.
type Operation = (&'static str, fn(&mut World));

/// Every operation that takes a secret.
const OPERATIONS: [Operation; 7] = [
    ("evaluate: multiply_shared", |w| w.decoded.multiply_shared(&SharedScalar::new(&w.scalars[0]), &mut w.out)),
    ("blind: from_uniform, add_multiples", |w| {
        drop(Backend::PORTABLE.from_uniform(&w.uniform).add_multiples(&w.table, &w.scalars, &mut w.out));
    }),
    ("blind: from_uniform, multiply_each", |w| {
        Backend::PORTABLE.from_uniform(&w.uniform).multiply_each(&w.scalars, &mut w.out);
    }),
    ("unblind: subtract_multiples", |w| drop(w.decoded.subtract_multiples(&w.table, &w.scalars, &mut w.out))),
    ("unblind: multiply_each", |w| w.decoded.multiply_each(&w.scalars, &mut w.out)),
    ("unblind: invert_scalars", |w| invert_scalars(&mut w.scalars)),
    ("finalize: sha512", |w| {
        let hash = Backend::PORTABLE.sha512(b"a prefix");
        hash.digests(&mut w.digests, |i, message| message.extend(&w.uniform[i]));
    }),
];

/// Controls.
const LEAKS: [Operation; 3] = [
    ("a jump by a bit of the key", |w| {
        if w.scalars[0].as_bytes()[0] & 1 == 1 {
            w.out[0] = std::hint::black_box([1; 32]);
        }
    }),
    ("an address by a byte of the key", |w| w.out[0] = w.out[usize::from(w.scalars[0].as_bytes()[0]) % N]),
    ("a variable-time sum with secret weights", |w| w.out[0] = w.decoded.weighted_sum(&w.weights)),
];

fn poisoned() {
    assert_ne!(valgrind(RUNNING_ON_VALGRIND, 0, 0), 0, "to be run under valgrind");
    let mut wrong = 0;
    for (operations, leaks) in [(&OPERATIONS[..], false), (&LEAKS[..], true)] {
        for (name, operation) in operations {
            let mut world = World::new(100);
            poison(&world.uniform);
            poison(&world.scalars);
            poison(&world.weights);
            let before = valgrind(COUNT_ERRORS, 0, 0);
            operation(&mut world);
            let reports = valgrind(COUNT_ERRORS, 0, 0) - before;
            let as_wanted = (reports > 0) == leaks;
            wrong += usize::from(!as_wanted);
            let kind = if leaks { "control" } else { "operation" };
            println!("  {kind} {name}: {reports} reports{}", if as_wanted { "" } else { "  WRONG" });
        }
    }
    assert_eq!(wrong, 0, "operations must get no report, and controls must get some");
}

fn count(keys: u64) {
    assert_ne!(valgrind(RUNNING_ON_VALGRIND, 0, 0), 0, "to be run under callgrind");
    for (name, operation) in OPERATIONS.iter().chain(&LEAKS[2..]) {
        let name = format!("{name}\0");
        // Once beforehand: the first run of an operation asks the processor what it has.
        operation(&mut World::new(0));
        let begin = USED.load(Relaxed).next_multiple_of(4096);
        for key in 0..keys {
            USED.store(begin, Relaxed);
            let mut world = World::new(key);
            valgrind(CALLGRIND_ZERO, 0, 0);
            operation(&mut world);
            valgrind(CALLGRIND_DUMP_AT, name.as_ptr() as usize, 0);
        }
    }
}

/// Gives memory away from the beginning of a piece of it to the end, so that what an allocation costs and where it lies
/// depends on no earlier run. Where [`USED`] is taken back, nothing of what came after is in use any more.
struct InOrder;

#[global_allocator]
static MEMORY: InOrder = InOrder;
static USED: AtomicUsize = AtomicUsize::new(0);
static BEGIN: AtomicUsize = AtomicUsize::new(0);
const SIZE: usize = 64 << 20;

// SAFETY: pieces lie one behind the other within one allocation, so that none overlaps another that is in use.
unsafe impl GlobalAlloc for InOrder {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if BEGIN.load(Relaxed) == 0 {
            // SAFETY: the layout has a size. There is one thread.
            let memory = unsafe { System.alloc(Layout::from_size_align_unchecked(SIZE, 4096)) };
            BEGIN.store(memory.expose_provenance(), Relaxed);
        }
        let at = USED.load(Relaxed).next_multiple_of(layout.align());
        if BEGIN.load(Relaxed) == 0 || at + layout.size() > SIZE {
            return std::ptr::null_mut();
        }
        USED.store(at + layout.size(), Relaxed);
        std::ptr::with_exposed_provenance_mut(BEGIN.load(Relaxed) + at)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

fn poison<T>(secrets: &[T]) {
    valgrind(MAKE_UNDEFINED, secrets.as_ptr() as usize, size_of_val(secrets));
}

// The numbers of valgrind's requests, as valgrind.h, memcheck.h and callgrind.h give them.
const RUNNING_ON_VALGRIND: usize = 0x1001;
const COUNT_ERRORS: usize = 0x1201;
const MAKE_UNDEFINED: usize = 0x4d43_0001;
const CALLGRIND_ZERO: usize = 0x4354_0001;
const CALLGRIND_DUMP_AT: usize = 0x4354_0003;

/// Makes a request of valgrind; 0 where there is none.
fn valgrind(request: usize, first: usize, second: usize) -> usize {
    let block = [request, first, second, 0, 0, 0];
    let mut answer = 0_usize;
    #[cfg(target_arch = "x86_64")]
    // SAFETY: by themselves these instructions change nothing but flags: the rotations make up two whole turns, and a
    // register is exchanged with itself. Valgrind reads the block and writes the answer. It does nothing else to the
    // memory named there but take notes of it, and reads the name of a profile, which ends with a zero.
    unsafe {
        std::arch::asm!(
            "rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") block.as_ptr(), inout("rdx") answer, options(nostack),
        );
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        (_, answer) = (block, 0);
    }
    answer
}
