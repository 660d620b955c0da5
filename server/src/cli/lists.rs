//! `list` and what comes after it.

use std::{path::Path, time::Instant};

use veilmatch_protocol::name::ListId;

use super::{
    args::ListCommand,
    progress::{self, Bars},
    report,
};
use crate::{
    Error,
    admin::{Agency, Cover, Disclosed, Opened},
    hardening::raise_open_files,
    import::{ImportOptions, Withdrawal},
};

pub(super) fn list(dir: &Path, command: ListCommand, now: u64) -> Result<String, Error> {
    // The sorted runs of a large list are all open at once.
    raise_open_files(0);
    let mut agency = Agency::open(dir)?;
    match command {
        ListCommand::Create { name, label_bytes, kinds } => {
            agency.list_create(&name, label_bytes, &kinds, now)?;
            Ok(report::created(dir, &name))
        }
        ListCommand::Import { name, file, reading, saying, source, add, allow_jump, dry_run, publish } => {
            let saying = saying.options(reading.options()?);
            let source = source.map(|source| source.to_string());
            let options = ImportOptions { source, add, allow_jump, dry_run, member: reading.member(), ..saying };
            let (bar, began) = (progress::import(&file), Instant::now());
            let change =
                agency.import(&name, &file, &options, now, &mut |stage, done, total| bar.show(stage, done, total))?;
            bar.clear();
            let told = report::change(&name, &change, "import", dry_run, began.elapsed());
            and_publish(&mut agency, &name, publish, told, now)
        }
        ListCommand::Retract { name, file, reading, source, ids, digests, digest_file, undo, dry_run, publish } => {
            let source = source.map(|source| source.to_string());
            let options = ImportOptions {
                reading: reading.options()?,
                source,
                dry_run,
                member: reading.member(),
                ..ImportOptions::default()
            };
            let began = Instant::now();
            let what = if undo { Withdrawal::GiveBack } else { Withdrawal::Withdraw };
            let change = if let Some(file) = file.as_ref().or(digest_file.as_ref()) {
                let bar = progress::import(file);
                let show = &mut |stage, done, total| bar.show(stage, done, total);
                let change = match digest_file {
                    None => agency.retract(&name, file, &options, now, show)?,
                    Some(_) => agency.withdraw_file(&name, file, what, &options, now, show)?,
                };
                bar.clear();
                change
            } else if ids.is_empty() {
                agency.withdraw_digests(&name, &digests, what, &options, now)?
            } else {
                agency.withdraw(&name, &ids, what, &options, now)?
            };
            let told = report::change(&name, &change, "retract", dry_run, began.elapsed());
            and_publish(&mut agency, &name, publish, told, now)
        }
        ListCommand::Exclude { name, file, reading, remove } => {
            let options =
                ImportOptions { reading: reading.options()?, member: reading.member(), ..ImportOptions::default() };
            let (bar, began) = (progress::import(&file), Instant::now());
            let show = &mut |stage, done, total| bar.show(stage, done, total);
            let excluded = agency.exclude(&name, &file, &options, remove, now, show)?;
            bar.clear();
            let told = report::change(&name, &excluded.change, "exclude", false, began.elapsed());
            let listed = if remove { 0 } else { excluded.listed };
            Ok(told + &report::listed_all_the_same(&name, &file, listed))
        }
        ListCommand::Canary { name, export: Some(file), .. } => {
            let Opened { written, left_out } = agency.canary_export(&name, &file)?;
            if left_out > 0 {
                eprintln!(
                    "veilmatch-server: warning: {left_out} canaries are left out: they would prove nothing; docs/lists.md"
                );
            }
            Ok(format!("{name}: {written} openings of canaries in {}\n", file.display()))
        }
        ListCommand::Canary {
            name,
            count,
            out,
            platform,
            source,
            category,
            action,
            reference,
            deadline,
            export: None,
        } => {
            let (Some(out), Some(platform), Some(source), Some(category)) = (out, platform, source, category) else {
                return Err(Error::argument(
                    "list canary",
                    "needs --out, --platform, --as and --category, or --export",
                ));
            };
            let (source, action, reference) = (source.as_str(), action.as_str(), reference.as_str());
            let cover = Cover { source, category: &category, action, reference, platform: &platform };
            let change = agency.canaries(&name, count, &out, &cover, deadline, now)?;
            Ok(report::canaries(&name, &out, &change))
        }
        ListCommand::Policy { name, min_sources, kinds } => {
            let rule = agency.set_rule(&name, |rule| {
                let rule = kinds.map_or(rule, |kinds| kinds.on(rule));
                crate::store::Rule { min_sources: min_sources.unwrap_or(rule.min_sources), ..rule }
            })?;
            Ok(report::policy(&name, &rule))
        }
        ListCommand::Codes { name, category, text } => {
            if let (Some(category), Some(text)) = (category, text) {
                agency.describe(&name, &category, &text, now)?;
            }
            let (categories, sources) = agency.codes(&name)?;
            Ok(report::codes(&categories, &sources))
        }
        ListCommand::Publish { name, force, kinds } => {
            if let Some(kinds) = kinds {
                agency.set_rule(&name, |rule| kinds.on(rule))?;
            }
            publish_now(&mut agency, &name, force, now)
        }
        ListCommand::Status { name, json } => {
            let names = name.clone().map_or_else(|| agency.lists(), |name| Ok(vec![name]))?;
            let statuses: Vec<_> = names.iter().map(|name| agency.list_status(name, now)).collect::<Result<_, _>>()?;
            Ok(match (json, name, &statuses[..]) {
                (true, ..) => report::list_json(&statuses),
                (false, Some(_), [status]) => report::list(status),
                _ => report::lists(&statuses),
            })
        }
        ListCommand::Diff { name, from, to, entries } => {
            let diff = agency.diff(&name, from, to, entries, now)?;
            Ok(report::diff(&name, &diff))
        }
        ListCommand::History { name, digest } => match digest {
            Some(digest) => Ok(report::past(&agency.past(&name, &digest)?)),
            None => Ok(report::history(&name, &agency.history(&name)?)),
        },
        ListCommand::Export { name, version, out } => {
            let written = agency.export(&name, version, &out, now)?;
            Ok(report::exported(&out, written))
        }
        ListCommand::Items { name, openings, out } => {
            let bars = Bars::default();
            let Disclosed { written, unread, unknown } =
                agency.items(&name, &openings, &out, &|progress| bars.show(progress))?;
            bars.clear();
            if unread + unknown > 0 {
                eprintln!(
                    "veilmatch-server: warning: {unread} lines without a receipt that an enrolled platform signed, {unknown} tags \
                     that the versions named do not have"
                );
            }
            Ok(format!("{name}: {written} entries in clear in {}\n", out.display()))
        }
        ListCommand::Compact { name } => {
            let forgotten = agency.compact(&name, now)?;
            Ok(format!("{name}: {forgotten} withdrawn claims forgotten\n"))
        }
    }
}

fn and_publish(agency: &mut Agency, list: &ListId, publish: bool, told: String, now: u64) -> Result<String, Error> {
    if publish {
        // What was imported stays imported if this fails.
        print!("{told}");
        publish_now(agency, list, false, now)
    } else {
        Ok(told)
    }
}

fn publish_now(agency: &mut Agency, list: &ListId, force: bool, now: u64) -> Result<String, Error> {
    compare_with_witnesses(agency)?;
    let bars = Bars::default();
    let published = agency.publish(list, force, now, &|progress| bars.show(progress))?;
    bars.clear();
    Ok(report::published(list, &published))
}

/// Asks the witnesses what they have seen, before anything is signed; says who was not reached.
pub(super) fn compare_with_witnesses(agency: &Agency) -> Result<(), Error> {
    for witness in agency.ask_witnesses()? {
        eprintln!("veilmatch-server: warning: witness {witness} was not reached; what it has seen is not compared");
    }
    Ok(())
}
