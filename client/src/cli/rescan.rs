//! `rescan`: everything that was checked before, against the version held now, without the network.

use std::{
    io::{self, BufWriter},
    path::Path,
};

use veilmatch_protocol::name::ListId;

use super::{args::Telling, check::tell, exit::Exit, failure::Failure, session::Session, tally::Tally};
use crate::{
    Destroyed, Found, NotChecked,
    output::{Answer, Format, Origin, Printer},
};

pub async fn rescan(
    dir: &Path,
    list: Option<ListId>,
    only_new: bool,
    format: Format,
    telling: Telling,
) -> Result<Exit, Failure> {
    let Session { client, list, .. } = Session::open(dir, list)?;
    let mut printer = Printer::new(format, true, BufWriter::new(io::stdout().lock()));
    let (mut tally, mut new_matches, mut failed) = (Tally::default(), 0, None);
    let rescan = client.rescan(&list, |Found { reference, outcome, new }| {
        tally.count(&outcome);
        new_matches += u64::from(new == Some(true));
        if failed.is_some() || only_new && new == Some(false) {
            return;
        }
        let origin = &Origin::of_reference(reference);
        failed = printer.answer(&Answer { origin, list: &list, outcome: &outcome, detail: None, new }).err();
    })?;
    if let Some(error) = failed {
        return Err(Failure::Print(error));
    }
    printer.flush().map_err(Failure::Print)?;
    drop(printer);
    tally.no_match = rescan.subjects - tally.total();
    tally.count_many(&NotChecked::ResultLost, rescan.lost());
    let (looked_at, destroyed) = (rescan.subjects, rescan.destroyed);
    // Only now: what nobody could read is new once more the next time.
    let gone = rescan.remember()?;
    client.shutdown().await;
    if !telling.quiet {
        eprintln!("veilmatch: {looked_at} kept; {new_matches} new since the rescan before, {gone} no longer listed");
    }
    // Even where nothing else is told: a rescan of nothing must not look like one that found nothing.
    if let Some(Destroyed { epoch, subjects }) = destroyed {
        eprintln!(
            "veilmatch: the results to epoch {epoch} ({subjects} kept) were destroyed with its key; scan again what was checked, then: veilmatch forget --lost"
        );
    }
    tell(&tally, list.as_str(), telling);
    Ok(exit(&tally, only_new.then_some(new_matches)))
}

/// With `--new`, the matches that the rescan before had are known: the code tells of the others.
fn exit(tally: &Tally, only_new: Option<u64>) -> Exit {
    Exit::of_counts(only_new.unwrap_or(tally.matches), tally.not_checked())
}

#[cfg(test)]
mod tests {
    use veilmatch_protocol::item::Kind;

    use super::*;
    use crate::Outcome;

    #[test]
    fn with_new_the_code_tells_of_new_matches_and_of_all_that_was_not_checked() {
        // An older match is 1 without --new. With it the code was 0 only because older matches were not counted at all,
        // and docs/output.md said that 0 is "none listed".
        let mut tally = Tally::default();
        tally.count(&Outcome::Match { label: Vec::new().into(), kind: Kind::Md5, version: 1, weak_only: false });
        assert_eq!(exit(&tally, None), Exit::Match);
        assert_eq!(exit(&tally, Some(1)), Exit::Match);
        assert_eq!(exit(&tally, Some(0)), Exit::Done);
        tally.count(&Outcome::NotChecked(NotChecked::Expired));
        assert_eq!(exit(&tally, Some(0)), Exit::NotChecked);
        assert_eq!(exit(&tally, Some(1)), Exit::Match);
    }
}
