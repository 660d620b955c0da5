//! What people see.

mod changes;

use std::{fmt::Write, path::Path};

use serde_json::{Value, json};
use veilmatch_protocol::name::{Epoch, ListId};

pub(super) use changes::{canaries, change, codes, diff, exported, history, listed_all_the_same, past, policy};

use crate::{
    admin::{ClientAdded, EpochStatus, ListStatus, Rotated},
    clock::rfc3339,
    publish::Published,
    store::{ChangeRow, ClientRow},
};

pub(super) fn version(verbose: bool) -> String {
    let mut out = format!("veilmatch-server {}\n", env!("CARGO_PKG_VERSION"));
    if verbose {
        let _ = writeln!(out, "ristretto255: {}", veilmatch_ristretto::backend());
        let _ = writeln!(out, "protocol: veilmatch.v1");
    }
    out
}

pub(super) fn initialised(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "agency ready in {dir}\n\
         next:\n  \
         veilmatch-server --dir {dir} list create NAME\n  \
         veilmatch-server --dir {dir} list import NAME FILE\n  \
         veilmatch-server --dir {dir} list publish NAME\n  \
         veilmatch-server --dir {dir} client add --request FILE --out FILE\n  \
         veilmatch-server --dir {dir} serve\n"
    )
}

pub(super) fn created(dir: &Path, list: &ListId) -> String {
    format!("list {list} created\nnext: veilmatch-server --dir {} list import {list} FILE\n", dir.display())
}

pub(super) fn published(list: &ListId, published: &[Published]) -> String {
    if published.is_empty() {
        return format!("{list}: nothing has changed; nothing published (--force publishes the same list again)\n");
    }
    versions(list, published)
}

fn versions(list: &ListId, published: &[Published]) -> String {
    published.iter().fold(String::new(), |mut out, version| {
        let _ = writeln!(out, "{list}: {version}; valid until {}", rfc3339(version.not_after));
        out
    })
}

pub(super) fn rotated(list: &ListId, rotated: &Rotated) -> String {
    let old = if rotated.old_destroyed {
        "is no longer served; its key is destroyed".to_owned()
    } else {
        format!("is served until {}; then its key is destroyed", rfc3339(rotated.old_retires_at))
    };
    versions(list, &rotated.published) + &format!("{list}: the old epoch {old}\n")
}

pub(super) fn retired(list: &ListId, destroyed: &[Epoch]) -> String {
    if destroyed.is_empty() {
        return format!("{list}: no epoch's time is over\n");
    }
    destroyed.iter().fold(String::new(), |mut out, epoch| {
        let _ = writeln!(out, "{list}: the key of epoch {} is destroyed", epoch.0);
        out
    })
}

pub(super) fn lists(statuses: &[ListStatus]) -> String {
    if statuses.is_empty() {
        return "no list; make one with `list create NAME`\n".to_owned();
    }
    let mut out =
        format!("{:<24} {:>8} {:>12} {:>10} {:<20}\n", "LIST", "VERSION", "ENTRIES", "PENDING", "VALID UNTIL");
    for status in statuses {
        let (version, until) =
            status.newest.map_or(("-".into(), "-".into()), |(version, until)| (version.0.to_string(), rfc3339(until)));
        let pending = status.to_add + status.to_relabel + status.to_remove;
        let _ = writeln!(
            out,
            "{:<24} {version:>8} {:>12} {pending:>10} {until:<20}",
            status.row.list.as_str(),
            status.published
        );
    }
    out
}

pub(super) fn list(status: &ListStatus) -> String {
    let kinds: Vec<&str> = status.row.kinds.iter().map(|kind| kind.name()).collect();
    let mut out = format!(
        "list:      {}\nkinds:     {}\nlabels:    {} bytes\n",
        status.row.list,
        kinds.join(", "),
        status.row.label_bytes
    );
    let _ = writeln!(out, "policy:    {}", changes::rule(&status.row.rule));
    let _ = match status.newest {
        Some((version, until)) => writeln!(out, "published: version {}, valid until {}", version.0, rfc3339(until)),
        None => writeln!(out, "published: never"),
    };
    let _ = writeln!(out, "entries:   {}", status.published);
    let _ = writeln!(
        out,
        "pending:   {} to add, {} to relabel, {} to remove",
        status.to_add, status.to_relabel, status.to_remove
    );
    for epoch in &status.epochs {
        let newest = epoch.newest.map_or_else(|| "none".into(), |version| version.0.to_string());
        let _ = writeln!(
            out,
            "epoch {}:   {}, newest version {newest}, {} evaluations",
            epoch.epoch.0,
            life(epoch),
            epoch.evaluations
        );
    }
    for (platform, elements, frames) in &status.used_today {
        let _ = writeln!(out, "today:     {platform} asked {elements} elements in {frames} frames");
    }
    for source in &status.sources {
        let _ = writeln!(out, "source {}:  {}, {} claims", source.number, source.name, source.size);
    }
    for ChangeRow { id, kind, file, source, at, tally } in &status.changes {
        let from = [source.as_str(), file].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "change {id}:  {} {kind} {from}: {}", rfc3339(*at), changes::sum(tally));
    }
    out
}

fn life(epoch: &EpochStatus) -> String {
    match (epoch.destroyed_at, epoch.retire_at) {
        (Some(at), _) => format!("key destroyed {}", rfc3339(at)),
        (None, Some(at)) => format!("retires {}", rfc3339(at)),
        (None, None) => "current".to_owned(),
    }
}

pub(super) fn list_json(statuses: &[ListStatus]) -> String {
    let epoch = |epoch: &EpochStatus| {
        json!({
            "epoch": epoch.epoch.0,
            "newest_version": epoch.newest.map(|version| version.0),
            "retire_at": epoch.retire_at.map(rfc3339),
            "destroyed_at": epoch.destroyed_at.map(rfc3339),
            "evaluations": epoch.evaluations,
        })
    };
    let list = |status: &ListStatus| {
        json!({
            "list": status.row.list.as_str(),
            "kinds": status.row.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>(),
            "label_bytes": status.row.label_bytes,
            "version": status.newest.map(|(version, _)| version.0),
            "valid_until": status.newest.map(|(_, until)| rfc3339(until)),
            "entries": status.published,
            "min_sources": status.row.rule.min_sources,
            "strongest": status.row.rule.strongest,
            "sources": status.sources.iter().map(|source| json!({"name": source.name, "number": source.number, "claims": source.size})).collect::<Vec<_>>(),
            "to_add": status.to_add,
            "to_relabel": status.to_relabel,
            "to_remove": status.to_remove,
            "epochs": status.epochs.iter().map(epoch).collect::<Vec<_>>(),
        })
    };
    lines(statuses.iter().map(list))
}

pub(super) fn client_added(added: &ClientAdded, out: &Path) -> String {
    let (what, client) = match added {
        ClientAdded::Enrolled(client) => ("enrolled", client),
        ClientAdded::Renewed(client) => ("renewed", client),
        ClientAdded::Replaced(client) => ("enrolled with new keys", client),
    };
    let lists: Vec<&str> = client.lists.iter().map(ListId::as_str).collect();
    format!(
        "{} {what}: {} elements and {} frames a day of each of {}; certificate until {}\n\
         invitation in {}: send it to the platform, where `veilmatch join` takes it\n",
        client.platform,
        client.elements_per_day,
        client.frames_per_day,
        lists.join(", "),
        rfc3339(client.certificate_until),
        out.display()
    )
}

pub(super) fn clients(clients: &[ClientRow]) -> String {
    if clients.is_empty() {
        return "no client; enrol one with `client add --request FILE --out FILE`\n".to_owned();
    }
    let mut out = format!(
        "{:<32} {:<10} {:>14} {:>12} {:<20} LISTS\n",
        "PLATFORM", "STATE", "ELEMENTS/DAY", "FRAMES/DAY", "CERTIFICATE UNTIL"
    );
    for client in clients {
        let lists: Vec<&str> = client.lists.iter().map(ListId::as_str).collect();
        let _ = writeln!(
            out,
            "{:<32} {:<10} {:>14} {:>12} {:<20} {}",
            client.platform.as_str(),
            if client.suspended_at.is_some() { "suspended" } else { "active" },
            client.elements_per_day,
            client.frames_per_day,
            rfc3339(client.certificate_until),
            lists.join(",")
        );
    }
    out
}

pub(super) fn clients_json(clients: &[ClientRow]) -> String {
    lines(clients.iter().map(|client| {
        json!({
            "platform": client.platform.as_str(),
            "suspended_at": client.suspended_at.map(rfc3339),
            "elements_per_day": client.elements_per_day,
            "frames_per_day": client.frames_per_day,
            "certificate_until": rfc3339(client.certificate_until),
            "lists": client.lists.iter().map(ListId::as_str).collect::<Vec<_>>(),
            "contact": client.contact,
        })
    }))
}

// One JSON object a line.
fn lines(values: impl Iterator<Item = Value>) -> String {
    values.fold(String::new(), |out, value| out + &value.to_string() + "\n")
}
