#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| veilmatch_fuzz_targets::run("evidence", bytes));
