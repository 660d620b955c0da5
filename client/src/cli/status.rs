//! `status`: what is held, until when, and what was asked. Works beside a running `veilmatch run`.

use std::{collections::BTreeMap, fmt::Write, path::Path};

use indicatif::{BinaryBytes, HumanCount};
use serde::Serialize;
use veilmatch_protocol::{
    manifest::SignedManifest,
    name::{Epoch, ListId},
    note::Verifier,
};

mod logs;

use super::{
    failure::Failure,
    scan::record::{self, Shown},
};
use crate::{Error, config::Config, enrol::Invitation, frames::now, state_dir::StateDir, store::Store};
use logs::Logs;

/// Everything that `status` says.
#[derive(Serialize)]
struct Status {
    platform: String,
    dir: String,
    // Whether another process works in the directory.
    in_use: bool,
    #[serde(flatten)]
    joined: Option<Joined>,
}

#[derive(Serialize)]
struct Joined {
    agency: String,
    address: String,
    budget_elements: u64,
    budget_frames: u64,
    lists: Vec<List>,
    // By how they ended.
    frames: BTreeMap<String, u64>,
    database_bytes: u64,
    logs: Logs,
    scans: Vec<Shown>,
}

#[derive(Serialize)]
struct List {
    list: String,
    held: Option<Held>,
}

#[derive(Serialize)]
struct Held {
    version: u32,
    epoch: u32,
    // Padding included.
    entries: u64,
    label_bytes: u32,
    kinds: Vec<&'static str>,
    not_after: String,
    valid: bool,
    kept: u64,
}

pub fn status(root: &Path, json: bool) -> Result<String, Failure> {
    let dir = StateDir::open(root)?;
    let in_use = match dir.lock() {
        Ok(_) => false,
        Err(Error::Busy { .. }) => true,
        Err(error) => return Err(error.into()),
    };
    let status = Status {
        platform: Config::read(&dir)?.platform()?.to_string(),
        dir: root.display().to_string(),
        in_use,
        joined: if dir.invitation().is_file() { Some(joined(&dir)?) } else { None },
    };
    if json {
        let text = serde_json::to_string(&status).expect("strings and numbers always serialise");
        return Ok(text + "\n");
    }
    Ok(text(&status))
}

fn joined(dir: &StateDir) -> Result<Joined, Failure> {
    let invitation = Invitation::of(dir.root())?;
    let store = Store::open(&dir.database())?;
    let verifier = invitation.manifest_key();
    let lists = invitation.lists().into_iter().map(|list| {
        let held = held(&store, &list, &verifier)?;
        Ok(List { list: list.to_string(), held })
    });
    Ok(Joined {
        agency: invitation.agency().to_string(),
        address: invitation.address.clone(),
        budget_elements: invitation.budget.elements,
        budget_frames: invitation.budget.frames,
        lists: lists.collect::<Result<_, Failure>>()?,
        frames: store.frames()?.into_iter().collect(),
        database_bytes: [dir.database(), dir.database().with_extension("db-wal")]
            .iter()
            .filter_map(|file| file.metadata().ok())
            .map(|metadata| metadata.len())
            .sum(),
        logs: Logs::read(dir, &store, &invitation)?,
        scans: record::all(dir.root())?,
    })
}

fn held(store: &Store, list: &ListId, verifier: &Verifier) -> Result<Option<Held>, Failure> {
    let Some(version) = store.held(list)? else { return Ok(None) };
    let Some(note) = store.manifest(list, version)? else { return Ok(None) };
    let untrusted = |source| Error::Untrusted { list: list.to_string(), source, evidence: None };
    let signed = SignedManifest::verify(&note, verifier).map_err(untrusted)?;
    let manifest = signed.manifest();
    Ok(Some(Held {
        version: version.0,
        epoch: manifest.epoch,
        entries: manifest.artifact.count,
        label_bytes: manifest.artifact.label_bytes,
        kinds: manifest.kinds().into_iter().map(|kind| kind.name()).collect(),
        not_after: manifest.not_after.to_string(),
        valid: manifest.valid_at(now()).is_ok(),
        kept: store.kept(list, Epoch(manifest.epoch))?,
    }))
}

fn text(status: &Status) -> String {
    let mut out = String::new();
    let mut row = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:<10}{value}");
    };
    row("platform", status.platform.clone());
    let in_use = if status.in_use { ", in use by a running veilmatch" } else { "" };
    row("directory", format!("{}{in_use}", status.dir));
    let Some(joined) = &status.joined else {
        row("agency", "none yet: send request.json, then veilmatch join INVITATION".to_owned());
        return out;
    };
    row("agency", format!("{} at {}", joined.agency, joined.address));
    for list in &joined.lists {
        row(
            "list",
            format!("{}: {}", list.list, list.held.as_ref().map_or("none held: veilmatch sync".to_owned(), held_text)),
        );
    }
    let (elements, frames) = (HumanCount(joined.budget_elements), HumanCount(joined.budget_frames));
    row("budget", format!("{elements} elements and {frames} frames a day and list"));
    let frames: Vec<String> =
        joined.frames.iter().map(|(ended, count)| format!("{} {ended}", HumanCount(*count))).collect();
    row("frames", if frames.is_empty() { "none".to_owned() } else { frames.join(", ") });
    row("database", BinaryBytes(joined.database_bytes).to_string());
    for line in joined.logs.lines() {
        row("log", line);
    }
    for scan in &joined.scans {
        let Shown { subject, out, finished, answers, matches, .. } = scan;
        let state = if *finished {
            format!("finished, {answers} answers, {matches} matches")
        } else {
            "not finished".to_owned()
        };
        row("scan", format!("{subject} into {out}: {state}"));
    }
    out
}

fn held_text(held: &Held) -> String {
    let Held { version, epoch, entries, kinds, not_after, valid, kept, .. } = held;
    let until =
        if *valid { format!("valid until {not_after}") } else { format!("EXPIRED on {not_after}: veilmatch sync") };
    format!(
        "version {version} of epoch {epoch}, {} entries or fewer, {}, {until}, {} kept for rescans",
        HumanCount(*entries),
        kinds.join(" "),
        HumanCount(*kept)
    )
}
