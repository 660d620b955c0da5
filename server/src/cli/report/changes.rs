//! What people see of imports, retractions and the life of entries.

use std::{fmt::Write, path::Path, time::Duration};

use veilmatch_protocol::name::ListId;

use crate::{
    admin::{Diff, Past, VersionChange},
    clock::rfc3339,
    store::{CategoryRow, Change, PendingKind, Rule, SourceRow, Tally},
};

/// Most quarantined rows that are named.
const NAMED: usize = 20;

pub(in crate::cli) fn change(list: &ListId, change: &Change, what: &str, dry_run: bool, took: Duration) -> String {
    let tally = &change.tally;
    let kept = if dry_run { " (dry run, nothing kept)" } else { "" };
    let mut out = format!("{list}: {}{kept}\n", sum(tally));
    let Tally { added, relabelled, removed, .. } = tally;
    let seconds = took.as_secs_f64();
    let _ = match what {
        "exclude" => writeln!(out, "known files: {} put on or taken off the set, in {seconds:.1} s", tally.accepted),
        _ => writeln!(
            out,
            "source {}: {added} claims added, {relabelled} changed, {removed} taken back, in {seconds:.1} s",
            change.source
        ),
    };
    for (reason, count) in &tally.reasons {
        let _ = writeln!(out, "quarantined: {count} {reason}");
    }
    for row in tally.rows.iter().take(NAMED) {
        let _ = writeln!(out, "  {}: {}", row.place, row.reason);
    }
    if tally.quarantined > NAMED as u64 {
        let _ = writeln!(out, "  and {} more", tally.quarantined - NAMED as u64);
    }
    if added + relabelled + removed > 0 && !dry_run {
        let _ = writeln!(out, "next: veilmatch-server list publish {list}");
    }
    out
}

/// `read 3 = accepted 1 + duplicate 1 + retracted 0 + quarantined 1`.
pub(super) fn sum(tally: &Tally) -> String {
    let Tally { read, accepted, duplicate, retracted, quarantined, .. } = tally;
    format!(
        "read {read} = accepted {accepted} + duplicate {duplicate} + retracted {retracted} + quarantined {quarantined}"
    )
}

pub(super) fn rule(rule: &Rule) -> String {
    let kinds = if rule.strongest { "the strongest kind of each record" } else { "all kinds" };
    match rule.min_sources {
        1 => format!("one source is enough, {kinds}"),
        n => format!("{n} sources must vouch, {kinds}"),
    }
}

pub(in crate::cli) fn policy(list: &ListId, set: &Rule) -> String {
    format!(
        "{list}: {}\nnext: veilmatch-server list diff {list}, to see what that changes, then list publish {list}\n",
        rule(set)
    )
}

pub(in crate::cli) fn listed_all_the_same(list: &ListId, file: &Path, listed: u64) -> String {
    if listed == 0 {
        return String::new();
    }
    let file = file.display();
    format!(
        "{listed} of them are claimed already and stay so: known is not harmless. To take them out:\n  \
         veilmatch-server list retract {list} {file}     (with the same --format and --kind)\n"
    )
}

pub(in crate::cli) fn canaries(list: &ListId, out: &Path, change: &Change) -> String {
    format!(
        "{list}: {} digests of canaries listed; their files are in {}\nnext: veilmatch-server list publish {list}\n",
        change.tally.accepted,
        out.display()
    )
}

pub(in crate::cli) fn codes(categories: &[CategoryRow], sources: &[SourceRow]) -> String {
    let mut out = format!("{:>6} {:<32} {:<12} TEXT\n", "NUMBER", "CATEGORY", "ACTION");
    for CategoryRow { number, scheme, code, action, text } in categories {
        let _ = writeln!(out, "{number:>6} {:<32} {action:<12} {text}", format!("{scheme}:{code}"));
    }
    let _ = writeln!(out, "{:>6} SOURCE", "NUMBER");
    for source in sources {
        let _ = writeln!(out, "{:>6} {}", source.number, source.name);
    }
    out
}

pub(in crate::cli) fn diff(list: &ListId, diff: &Diff) -> String {
    let Diff { from, to, added, relabelled, removed, entries } = diff;
    let name = |version: &Option<_>| match version {
        Some(veilmatch_protocol::name::Version(0)) => "nothing".to_owned(),
        Some(version) => format!("version {}", version.0),
        None => "what is to be published".to_owned(),
    };
    let mut out = format!(
        "{list}: from {} to {}: {added} added, {relabelled} relabelled, {removed} removed\n",
        name(from),
        name(to)
    );
    for entry in entries {
        let sign = match entry.kind {
            PendingKind::Added => '+',
            PendingKind::Removed => '-',
            PendingKind::Relabelled | PendingKind::Kept => '~',
        };
        let (kind, digest) = (entry.item.kind().name(), hex::encode(entry.item.digest()));
        let _ = writeln!(out, "{sign} {kind}:{digest} {}", hex::encode(&entry.label));
    }
    out
}

pub(in crate::cli) fn history(list: &ListId, versions: &[VersionChange]) -> String {
    if versions.is_empty() {
        return format!("{list}: nothing was published yet\n");
    }
    let mut out = format!(
        "{:>8} {:>6} {:<20} {:>12} {:>10} {:>10}\n",
        "VERSION", "EPOCH", "PUBLISHED", "ENTRIES", "CHANGE", "POLICY"
    );
    for version in versions {
        let policy = format!("{}{}", version.rule.min_sources, if version.rule.strongest { "/strongest" } else { "" });
        let _ = writeln!(
            out,
            "{:>8} {:>6} {:<20} {:>12} {:>10} {policy:>10}",
            version.version.0,
            version.epoch.0,
            rfc3339(version.published),
            version.entries,
            version.change
        );
    }
    out
}

pub(in crate::cli) fn past(past: &[Past]) -> String {
    if past.is_empty() {
        return "nobody has claimed this digest, as far as it is remembered\n".to_owned();
    }
    past.iter().fold(String::new(), |mut out, past| {
        let record =
            if past.record.is_empty() { String::new() } else { format!(" record {}", past.record.escape_debug()) };
        let until = past.until.as_ref().map_or_else(
            || "stands".to_owned(),
            |(change, at)| format!("taken back by change {change} at {}", rfc3339(*at)),
        );
        let _ = writeln!(
            out,
            "source {}{record}, {}: claimed by change {} at {}, {until}",
            past.source,
            past.category,
            past.since.0,
            rfc3339(past.since.1)
        );
        out
    })
}

pub(in crate::cli) fn exported(out: &Path, entries: u64) -> String {
    // On standard output stand the entries.
    if out == Path::new("-") { String::new() } else { format!("{entries} entries in clear in {}\n", out.display()) }
}
