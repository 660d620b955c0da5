//! Every default with its reason.

use std::path::PathBuf;

use super::LogFormat;

pub(super) fn tls_certificate() -> (PathBuf, &'static str) {
    ("keys/server.pem".into(), "where `init` writes it")
}

pub(super) fn tls_key() -> (PathBuf, &'static str) {
    ("keys/server.key".into(), "where `init` writes it")
}

pub(super) fn tls_authority() -> (PathBuf, &'static str) {
    ("keys/authority.pem".into(), "where `init` writes it")
}

pub(super) fn tls_authority_key() -> (PathBuf, &'static str) {
    ("keys/authority.key".into(), "where `init` writes it")
}

pub(super) fn validity_hours() -> (u32, &'static str) {
    (168, "a week: a platform that is cut off stops saying \"no match\" within it, and a long weekend stops nobody")
}

pub(super) fn overlap_hours() -> (u32, &'static str) {
    (168, "as long as a version is valid: whoever holds a valid version can use it until it expires")
}

pub(super) fn kept_artifacts() -> (u32, &'static str) {
    (2, "a download that began before a publication can end after it")
}

pub(super) fn delta_days() -> (u32, &'static str) {
    (30, "a platform that was away for a month can as well fetch the whole file")
}

pub(super) fn history_days() -> (u32, &'static str) {
    (400, "a complaint about a match of last year can still be followed")
}

pub(super) fn every_minutes() -> (u32, &'static str) {
    (0, "who imports looks at the counts before everybody gets the list")
}

pub(super) fn frame_sizes() -> (Vec<u32>, &'static str) {
    (vec![1, 4, 16, 256, 1_024, 4_096], "all classes: single uploads stay cheap, archives go in full frames")
}

pub(super) fn growth_percent() -> (u32, &'static str) {
    (50, "lists double in years, not in days; a file of another list or a wrong column is more")
}

pub(super) fn shrink_percent() -> (u32, &'static str) {
    (20, "a file that was cut, or filtered by mistake, would silently unlist the rest")
}

pub(super) fn jump_from() -> (u64, &'static str) {
    (1_000, "a trial or a young list changes by multiples")
}

pub(super) fn elements_per_day() -> (u64, &'static str) {
    (10_000_000, "an archive of millions in a day; far below what makes enumerating a list worth while")
}

pub(super) fn frames_per_day() -> (u64, &'static str) {
    (500_000, "about six single checks a second all day; bulk needs 2,442 frames for the elements above")
}

pub(super) fn certificate_days() -> (u32, &'static str) {
    (30, "a stolen key is of use for a month at most")
}

pub(super) fn waiting_elements() -> (u32, &'static str) {
    (65_536, "two seconds of work for one core without vector units: waiting longer helps nobody")
}

pub(super) fn threads() -> (u32, &'static str) {
    (0, "evaluation is what the machine is for")
}

pub(super) fn retries() -> (u32, &'static str) {
    (8, "a client tries a broken connection at most eight times with the same bytes")
}

pub(super) fn retry_hours() -> (u32, &'static str) {
    (24, "a client that comes back after a day blinds anew")
}

pub(super) fn refusals_per_minute() -> (u32, &'static str) {
    (60, "a peer that is refused cannot fill the disk with records of it")
}

pub(super) fn checkpoint_seconds() -> (u32, &'static str) {
    (30, "half of what is promised: one that fails can be tried again in time")
}

pub(super) fn log_listen() -> (String, &'static str) {
    (String::new(), "a second port is the operator's to open; platforms read the logs over their own connection")
}

pub(super) fn log_policy() -> (PathBuf, &'static str) {
    (PathBuf::new(), "whom agency and platforms trust in common they must agree upon")
}

pub(super) fn poll_ms() -> (u32, &'static str) {
    (500, "a retraction reaches the watchers within a second; one read of a counter costs microseconds")
}

pub(super) fn log_format() -> (LogFormat, &'static str) {
    (LogFormat::Text, "a trial is read by people")
}

pub(super) fn log_filter() -> (String, &'static str) {
    ("info".into(), "one line per refused request and per change")
}

pub(super) fn reflection() -> (bool, &'static str) {
    (false, "a production server describes itself in SPEC.md, not to strangers")
}
