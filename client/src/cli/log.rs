//! `log`: the match log, for people and for auditors. What does not speak with the agency works beside a running
//! `veilmatch run`.

mod export;
mod shown;

use std::{fs::OpenOptions, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

use indicatif::HumanCount;

use super::{
    args::{Days, Log},
    exit::Exit,
    failure::Failure,
    print,
};
use crate::{
    Client,
    matchlog::{Erased, MatchLog, Place, Published, Recovered},
};

/// What `log receipt --help` says.
pub const RECEIPT: &str = "Hand out the receipt of a match, as one line of JSON.\n\n\
    Level 1 shows the receipt: this platform vouches for the entry, and somebody had its evaluation. Level 2 also opens the \
    blind: this platform asked about this very digest in this frame. Whoever holds level 2 can test guesses of the digest \
    against it: hand it to a party that is entitled to the digest, such as the agency.\n\n\
    The entry's secret lets an auditor verify level 1 without the agency, and lets its reader make receipts of level 1 for \
    the entry: leave it out with --no-secret where the reader is the agency.";

pub async fn log(dir: &Path, what: Log) -> Result<Exit, Failure> {
    match what {
        Log::List { days, json } => shown::list(&MatchLog::of(dir)?, range(days), json),
        Log::Show { index, json } => shown::show(&MatchLog::of(dir)?, index, json),
        Log::Action { index, taken, report } => {
            let leaf = MatchLog::of(dir)?.act(index, taken, &report)?;
            print(&format!("{index}: {} recorded in leaf {leaf}\n", taken.code()))
        }
        Log::Receipt { index, level, no_secret, out } => {
            receipt(&MatchLog::of(dir)?, index, (level, !no_secret), out.as_deref())
        }
        Log::Export { days, out, format } => export::export(dir, &MatchLog::of(dir)?, range(days), &out, format),
        Log::Erase { indices, basis } => print(&erased(&MatchLog::of(dir)?.erase(&indices, &basis)?)),
        Log::Publish => {
            let client = Client::open(dir)?;
            let published = client.publish_log().await;
            client.shutdown().await;
            print(&told(&published?))
        }
        Log::Recover => {
            let client = Client::open(dir)?;
            let recovered = client.recover_log().await;
            client.shutdown().await;
            print(&went_on(&recovered?))
        }
    }
}

fn range(days: Days) -> std::ops::RangeInclusive<veilmatch_audit::date::Date> {
    use veilmatch_audit::date::Date;
    use veilmatch_protocol::manifest::Timestamp;
    let first = days.from.unwrap_or_else(|| Date::of(Timestamp::from_unix(0)));
    first..=days.to.unwrap_or_else(|| Date::of(Timestamp::from_unix(u64::MAX)))
}

fn receipt(log: &MatchLog, place: Place, (level, secret): (u8, bool), out: Option<&Path>) -> Result<Exit, Failure> {
    let line = log.hand_out(place, level, secret)?;
    let Some(out) = out else { return print(&line) };
    let mut file = new_file(out)?;
    file.write_all(line.as_bytes()).and_then(|()| file.sync_all()).map_err(Failure::io("write", out))?;
    Ok(Exit::Done)
}

/// A file of evidence: for its owner alone, and never in the place of another.
fn new_file(path: &Path) -> Result<std::fs::File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    options.open(path).map_err(Failure::io("create", path))
}

fn told(published: &[Published]) -> String {
    if published.is_empty() {
        return "nothing new since the last checkpoint\n".to_owned();
    }
    let line = |Published { log, size, cosigned }: &Published| {
        let by = if *cosigned { "cosigned by the agency" } else { "NOT cosigned by the agency" };
        format!("{log}: {} leaves, {by}\n", HumanCount(*size))
    };
    published.iter().map(line).collect()
}

fn erased(erased: &[Erased]) -> String {
    let line = |Erased { log, indices, leaf }: &Erased| {
        format!("{log}: {} records destroyed, which leaf {leaf} says\n", indices.len())
    };
    erased.iter().map(line).collect()
}

fn went_on(recovered: &[Recovered]) -> String {
    let line = |Recovered { lost, log, from, to }: &Recovered| {
        format!("{lost}: leaves {from} up to {to} are lost; it goes on as {log}\n")
    };
    recovered.iter().map(line).collect()
}
