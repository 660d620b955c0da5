//! Passes every file of fuzz/corpus through its target, without libFuzzer.

use std::fs;
use std::path::Path;

use veilmatch_fuzz_targets::{TARGETS, run, seeds};

#[test]
fn every_input_of_the_corpora_keeps_the_promises() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (target, _) in TARGETS {
        let corpus = corpora.join(target);
        let inputs: Vec<_> = fs::read_dir(&corpus).unwrap().map(|input| input.unwrap().path()).collect();
        assert!(!inputs.is_empty(), "{target} has no corpus");
        for input in inputs {
            eprintln!("{}", input.display());
            run(target, &fs::read(&input).unwrap());
        }
    }
}

#[test]
fn every_corpus_has_its_target_and_every_target_its_program() {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let names = |folder: &str| {
        let entries = fs::read_dir(fuzz.join(folder)).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    let mut targets: Vec<_> = TARGETS.iter().map(|(target, _)| (*target).to_owned()).collect();
    targets.sort();
    assert_eq!(names("corpus"), targets);
    assert_eq!(names("fuzz_targets"), targets);
}

#[test]
fn what_is_written_keeps_the_promises() {
    for (target, inputs) in seeds() {
        inputs.iter().for_each(|input| run(target, input));
    }
}
