//! What the measured programs share: they prepare a task once and run it whenever they are asked.
//!
//! Each is a process of its own, because a baseline may need other build flags and a back end is chosen once per process.

use std::{
    collections::HashMap,
    io::{self, BufRead, Write},
    process::ExitCode,
    time::Instant,
};

/// Something that is measured, ready to run.
pub type Task = Box<dyn FnMut()>;

/// Answers the measuring program: first a line about this one, then for each `TASK ITEMS` the nanoseconds that one run
/// took. A task is prepared, and run once unmeasured, when it is first asked for.
pub fn serve(about: &str, prepare: impl Fn(&str, usize) -> Option<Task>) -> ExitCode {
    let answer = |text: &str| writeln!(io::stdout(), "{text}").is_ok();
    let mut tasks: HashMap<String, Task> = HashMap::new();
    if !answer(about) {
        return ExitCode::FAILURE;
    }
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return ExitCode::FAILURE };
        let asked = line.split_once(' ').and_then(|(name, items)| Some((name, items.parse().ok()?)));
        let Some((name, items)) = asked else { return ExitCode::FAILURE };
        if !tasks.contains_key(&line) {
            let Some(mut task) = prepare(name, items) else { return ExitCode::FAILURE };
            task();
            tasks.insert(line.clone(), task);
        }
        let task = tasks.get_mut(&line).expect("inserted above");
        let start = Instant::now();
        task();
        if !answer(&start.elapsed().as_nanos().to_string()) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// The processor's features that matter here, of those that this build may use.
#[must_use]
pub fn processor() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let mut found = Vec::new();
        macro_rules! look { ($($feature:tt)*) => { $(if is_x86_feature_detected!($feature) { found.push($feature) })* } }
        look!("avx2" "avx512f" "avx512dq" "avx512vl" "avx512bw" "avx512ifma" "sha");
        format!("x86-64 with {}", found.join(", "))
    }
    #[cfg(not(target_arch = "x86_64"))]
    std::env::consts::ARCH.to_owned()
}
