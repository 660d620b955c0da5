use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
    fs,
};

use proptest::prelude::*;
use sha2::{Digest, Sha256};
use veilmatch_lists::Columns;
use veilmatch_protocol::item::Item;

use super::*;
use crate::{
    store::{Edition, Entries, PendingKind, Rule},
    world::{NOON, World, custom},
};

/// An md5 and a sha256 for each number, synthetic.
fn digest(kind: Kind, number: u8) -> Vec<u8> {
    Sha256::digest(format!("veilmatch {} {number}", kind.name()))[..kind.digest_len()].to_vec()
}

fn item(kind: Kind, number: u8) -> Item {
    Item::new(kind, &digest(kind, number)).unwrap()
}

/// A row of a table: key, numbers of its md5 and its sha256, code.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Line {
    id: u8,
    md5: Option<u8>,
    sha256: Option<u8>,
    code: u8,
}

fn line(id: u8, md5: impl Into<Option<u8>>, sha256: impl Into<Option<u8>>, code: u8) -> Line {
    Line { id, md5: md5.into(), sha256: sha256.into(), code }
}

struct Agency {
    world: World,
}

impl Agency {
    fn new() -> Self {
        Self { world: World::new() }
    }

    fn options(&self, source: &str) -> ImportOptions {
        let columns = Columns { id: Some("id".into()), code: Some("code".into()), ..Columns::default() };
        let reading = Options { columns, ..Options::default() };
        ImportOptions { reading, source: Some(source.into()), ..ImportOptions::default() }
    }

    fn import_with(&self, options: &ImportOptions, lines: &[Line]) -> Result<Tally, Error> {
        let mut table = String::from("id,md5,sha256,code\n");
        for Line { id, md5, sha256, code } in lines {
            let hex =
                |kind, number: &Option<u8>| number.map_or_else(String::new, |number| hex::encode(digest(kind, number)));
            writeln!(table, "{id},{},{},c{code}", hex(Kind::Md5, md5), hex(Kind::Sha256, sha256)).unwrap();
        }
        let file = self.world.path("table.csv");
        fs::write(&file, table).unwrap();
        let change =
            self.world.agency().import(&self.world.list, &file, options, self.world.now(), &mut |_, _, _| ())?;
        assert!(change.tally.adds_up());
        Ok(change.tally)
    }

    fn import(&self, source: &str, lines: &[Line]) -> Tally {
        self.import_with(&self.options(source), lines).unwrap()
    }

    fn digests(&self, items: &[Item]) -> std::path::PathBuf {
        let file = self.world.path("digests.txt");
        let line = |item: &Item| format!("{} {}\n", item.kind().name(), hex::encode(item.digest()));
        fs::write(&file, items.iter().map(line).collect::<String>()).unwrap();
        file
    }

    fn retract(&self, source: Option<&str>, items: &[Item]) -> Tally {
        let options = ImportOptions { source: source.map(str::to_owned), ..ImportOptions::default() };
        let file = self.digests(items);
        self.world.agency().retract(&self.world.list, &file, &options, NOON, &mut |_, _, _| ()).unwrap().tally
    }

    fn withdraw(&self, source: &str, id: u8, what: Withdrawal) -> Result<Tally, Error> {
        let options = ImportOptions { source: Some(source.into()), ..ImportOptions::default() };
        let change = self.world.agency().withdraw(&self.world.list, &[id.to_string()], what, &options, NOON)?;
        Ok(change.tally)
    }

    fn withdraw_digests(&self, source: Option<&str>, items: &[Item], what: Withdrawal) -> Result<Tally, Error> {
        let options = ImportOptions { source: source.map(str::to_owned), ..ImportOptions::default() };
        let named = |item: &Item| format!("{}:{}", item.kind().name(), hex::encode(item.digest()));
        let named: Vec<_> = items.iter().map(named).collect();
        let change = self.world.agency().withdraw_digests(&self.world.list, &named, what, &options, NOON)?;
        assert!(change.tally.adds_up());
        Ok(change.tally)
    }

    fn exclude(&self, items: &[Item], remove: bool) -> Excluded {
        let (file, options) = (self.digests(items), ImportOptions::default());
        self.world.agency().exclude(&self.world.list, &file, &options, remove, NOON, &mut |_, _, _| ()).unwrap()
    }

    /// Imports a page of a feed with times: key, time or none, number of the md5 or none for a withdrawal.
    fn feed(&self, rows: &[(&str, Option<u64>, Option<u8>)]) -> Tally {
        let image = |(id, at, number): &(&str, Option<u64>, Option<u8>)| {
            let time = at.map_or_else(String::new, |at| {
                format!("<timestamp>{}</timestamp>", crate::clock::rfc3339(NOON - 1_000 + at))
            });
            match number {
                Some(number) => format!(
                    "<image><member id=\"1\"/><id>{id}</id>{time}<fingerprints><md5>{}</md5></fingerprints></image>",
                    hex::encode(digest(Kind::Md5, *number))
                ),
                None => format!("<deletedImage><member id=\"1\"/><id>{id}</id>{time}</deletedImage>"),
            }
        };
        let rows: String = rows.iter().map(image).collect();
        let file = self.world.path("feed.xml");
        let space = "https://hashsharing.ncmec.org/hashsharing/v2";
        fs::write(&file, format!("<queryResult xmlns=\"{space}\"><images>{rows}</images></queryResult>")).unwrap();
        let options = ImportOptions { source: Some("feed".into()), ..ImportOptions::default() };
        let change = self.world.agency().import(&self.world.list, &file, &options, NOON, &mut |_, _, _| ()).unwrap();
        change.tally
    }

    fn entries(&self) -> Entries {
        Entries::open(&self.world.root().join("entries.db")).unwrap()
    }

    fn edition(&self, rule: Rule) -> Edition {
        Edition { change: self.entries().last_change(&self.world.list).unwrap(), at: self.world.now(), rule }
    }

    /// What leads from one edition to another.
    fn steps(&self, from: &Edition, to: &Edition) -> Vec<(Item, Vec<u8>, PendingKind)> {
        let entries = self.entries();
        let labels = entries.labels(&self.world.list, 4).unwrap();
        let mut steps = Vec::new();
        entries
            .visit(&self.world.list, from, to, &labels, None, |entry| {
                steps.push((entry.item, entry.label, entry.kind));
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        steps
    }

    /// What is listed under the list's rule.
    fn listed(&self) -> BTreeSet<Item> {
        let rule = self.world.store().list(&self.world.list).unwrap().rule;
        self.steps(&Edition::EMPTY, &self.edition(rule)).into_iter().map(|step| step.0).collect()
    }

    fn is_listed(&self, kind: Kind, number: u8) -> bool {
        self.listed().contains(&item(kind, number))
    }
}

#[test]
fn the_next_file_of_a_source_replaces_what_the_source_said() {
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1), line(2, 2, None, 1), line(3, None, 3, 1)]);
    // 1 keeps its sha256 and gets another md5, 2 is as it was, 3 is not there any more, 4 is new.
    let tally = agency.import("feed", &[line(1, 9, 1, 1), line(2, 2, None, 1), line(4, 4, 4, 1)]);
    assert_eq!((tally.read, tally.accepted, tally.duplicate), (5, 3, 2));
    assert_eq!((tally.added, tally.relabelled, tally.removed), (3, 0, 2));
    let wanted = [(Kind::Md5, 9), (Kind::Sha256, 1), (Kind::Md5, 2), (Kind::Md5, 4), (Kind::Sha256, 4)];
    assert_eq!(agency.listed(), wanted.map(|(kind, number)| item(kind, number)).into());
    // With --add nothing goes.
    let options = ImportOptions { add: true, ..agency.options("feed") };
    assert_eq!(agency.import_with(&options, &[line(5, 5, None, 1)]).unwrap().removed, 0);
    assert_eq!(agency.listed().len(), 6);
}

#[test]
fn a_file_without_a_source_only_adds() {
    let world = World::new();
    world.import(0..5, "A1");
    let again = world.import(3..8, "A1");
    assert_eq!((again.tally.accepted, again.tally.duplicate, again.tally.removed), (3, 2, 0));
    assert_eq!(again.source, LOCAL);
}

#[test]
fn the_same_file_again_says_nothing_new() {
    let agency = Agency::new();
    let lines = [line(1, 1, 1, 1), line(2, 2, None, 2), line(3, None, 2, 2)];
    agency.import("feed", &lines);
    let before = agency.edition(Rule::default());
    let again = agency.import("feed", &lines);
    assert_eq!((again.duplicate, again.accepted), (4, 0));
    assert_eq!(agency.edition(Rule::default()), before);
}

#[test]
fn of_several_rows_with_one_key_the_last_counts() {
    let agency = Agency::new();
    let tally = agency.import("feed", &[line(1, 1, 1, 1), line(1, 2, None, 1)]);
    assert_eq!((tally.read, tally.accepted, tally.reasons["SUPERSEDED"]), (3, 1, 2));
    assert_eq!(agency.listed(), [item(Kind::Md5, 2)].into());
    let tally = agency.import("feed", &[line(1, 2, 5, 1), line(1, 2, None, 1)]);
    assert_eq!((tally.duplicate, tally.reasons["SUPERSEDED"]), (2, 1));
}

#[test]
fn an_entry_that_two_sources_vouch_for_outlives_the_withdrawal_of_one() {
    let agency = Agency::new();
    agency.import("one", &[line(1, 1, None, 1)]);
    agency.import("two", &[line(7, 1, None, 2)]);
    agency.withdraw("one", 1, Withdrawal::Withdraw).unwrap();
    assert!(agency.is_listed(Kind::Md5, 1));
    assert_eq!(agency.import("two", &[]).removed, 1);
    assert!(!agency.is_listed(Kind::Md5, 1));
}

#[test]
fn a_record_that_was_withdrawn_by_hand_stays_out_until_it_is_given_back() {
    let agency = Agency::new();
    let lines = [line(1, 1, 1, 1), line(2, 2, 2, 1)];
    agency.import("feed", &lines);
    assert_eq!(agency.withdraw("feed", 1, Withdrawal::Withdraw).unwrap().removed, 2);
    let again = agency.import("feed", &lines);
    assert_eq!((again.retracted, again.duplicate, again.accepted), (2, 2, 0));
    assert!(!agency.is_listed(Kind::Sha256, 1));
    assert_eq!(agency.withdraw("feed", 1, Withdrawal::GiveBack).unwrap().accepted, 1);
    assert!(!agency.is_listed(Kind::Sha256, 1), "its source has to say so");
    agency.import("feed", &lines);
    assert!(agency.is_listed(Kind::Sha256, 1));
    assert_eq!(agency.withdraw("feed", 9, Withdrawal::Withdraw).unwrap_err().reason(), "BAD_ARGUMENT");
}

#[test]
fn a_digest_that_is_retracted_leaves_its_record_without_it() {
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1)]);
    let flag = |agency: &Agency| agency.steps(&Edition::EMPTY, &agency.edition(Rule::default()))[0].1[0];
    assert_eq!(flag(&agency), 1, "a stronger kind is listed, too");
    let tally = agency.retract(None, &[item(Kind::Sha256, 1), item(Kind::Sha256, 5)]);
    assert_eq!((tally.read, tally.accepted, tally.duplicate), (2, 1, 1));
    assert_eq!(agency.listed(), [item(Kind::Md5, 1)].into());
    assert_eq!(flag(&agency), 0, "none is listed any more");
    // Its source says it again.
    agency.import("feed", &[line(1, 1, 1, 1)]);
    assert_eq!(agency.listed().len(), 2);
    assert_eq!(flag(&agency), 1);
}

#[test]
fn a_digest_that_was_withdrawn_stays_out_until_it_is_given_back() {
    let agency = Agency::new();
    let lines = [line(1, 1, 1, 1), line(2, 1, None, 1)];
    agency.import("feed", &lines);
    agency.import("other", &[line(9, 1, None, 1)]);
    let gone = [item(Kind::Md5, 1)];
    // Two records of the source name it.
    let tally = agency.withdraw_digests(Some("feed"), &gone, Withdrawal::Withdraw).unwrap();
    assert_eq!((tally.read, tally.retracted, tally.removed), (1, 1, 2));
    assert!(agency.is_listed(Kind::Md5, 1), "another source claims it");
    let tally = agency.withdraw_digests(None, &gone, Withdrawal::Withdraw).unwrap();
    assert_eq!((tally.retracted, tally.removed), (1, 1));
    assert_eq!(agency.listed(), [item(Kind::Sha256, 1)].into());
    assert_eq!(agency.withdraw_digests(None, &gone, Withdrawal::Withdraw).unwrap().duplicate, 1);
    // Whatever its sources say again.
    let again = agency.import("feed", &lines);
    assert_eq!((again.read, again.retracted, again.duplicate), (3, 2, 1));
    assert_eq!(agency.import("other", &[line(7, 1, 7, 1)]).retracted, 1);
    assert!(!agency.is_listed(Kind::Md5, 1));
    // A source that never claimed it may.
    agency.import("third", &[line(1, 1, None, 1)]);
    assert!(agency.is_listed(Kind::Md5, 1));
    agency.import("third", &[]);

    let tally = agency.withdraw_digests(Some("feed"), &gone, Withdrawal::GiveBack).unwrap();
    assert_eq!(tally.accepted, 1);
    assert!(!agency.is_listed(Kind::Md5, 1), "its source has to say so");
    assert_eq!(agency.import("feed", &lines).accepted, 2);
    assert!(agency.is_listed(Kind::Md5, 1));
    assert_eq!(agency.import("other", &[line(7, 1, 7, 1)]).retracted, 1);
}

#[test]
fn a_digest_that_nobody_claims_is_not_withdrawn_and_nothing_else_is() {
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1)]);
    let (there, absent) = (item(Kind::Md5, 1), item(Kind::Md5, 5));
    let text = |refused: Error| {
        assert_eq!(refused.reason(), "BAD_ARGUMENT");
        refused.to_string()
    };
    let both = [there.clone(), absent.clone(), item(Kind::Sha256, 6)];
    let refused = text(agency.withdraw_digests(None, &both, Withdrawal::Withdraw).unwrap_err());
    let first = format!("no source claims md5:{} and 1 more", hex::encode(absent.digest()));
    assert!(refused.contains(&first), "{refused}");
    assert_eq!(agency.listed().len(), 2);
    assert_eq!(agency.import("feed", &[line(1, 1, 1, 1)]).duplicate, 2, "nothing of it was kept");
    let refused = text(agency.withdraw_digests(Some("feed"), &[absent], Withdrawal::Withdraw).unwrap_err());
    assert!(refused.contains("source feed does not claim md5:"), "{refused}");
    text(agency.withdraw_digests(None, std::slice::from_ref(&there), Withdrawal::GiveBack).unwrap_err());
    let unknown = agency.withdraw_digests(Some("nobody"), &[there], Withdrawal::Withdraw).unwrap_err();
    assert_eq!(unknown.reason(), "UNKNOWN_SOURCE");
    let options = ImportOptions::default();
    let no_digest = agency.world.agency().withdraw_digests(
        &agency.world.list,
        &["md5:xy".into()],
        Withdrawal::Withdraw,
        &options,
        NOON,
    );
    text(no_digest.unwrap_err());
}

#[test]
fn a_row_without_a_key_keeps_its_record_when_its_strongest_digest_is_withdrawn() {
    let agency = Agency::new();
    let reading = Options::default();
    let options = ImportOptions { reading, source: Some("sums".into()), ..ImportOptions::default() };
    agency.import_with(&options, &[line(1, 1, 1, 1), line(2, 2, None, 1)]).unwrap();
    let gone = [item(Kind::Sha256, 1), item(Kind::Md5, 2)];
    let dry = ImportOptions { source: Some("sums".into()), dry_run: true, ..ImportOptions::default() };
    let file = agency.digests(&gone);
    let withdraw = |options: &ImportOptions| {
        let mut agency_of = agency.world.agency();
        let list = &agency.world.list;
        agency_of.withdraw_file(list, &file, Withdrawal::Withdraw, options, NOON, &mut |_, _, _| ()).unwrap().tally
    };
    let counted = withdraw(&dry);
    assert_eq!(agency.listed().len(), 3);
    assert_eq!(withdraw(&ImportOptions { dry_run: false, ..dry }), counted);
    assert_eq!((counted.retracted, counted.removed), (2, 2));
    assert_eq!(agency.listed(), [item(Kind::Md5, 1)].into());
    let again = agency.import_with(&options, &[line(1, 1, 1, 1), line(2, 2, None, 1)]).unwrap();
    assert_eq!((again.retracted, again.duplicate, again.added, again.removed), (2, 1, 0, 0));
}

#[test]
fn a_retraction_of_one_source_leaves_what_others_say() {
    let agency = Agency::new();
    agency.import("one", &[line(1, 1, None, 1), line(2, 2, None, 1)]);
    agency.import("two", &[line(7, 1, None, 2)]);
    agency.retract(Some("one"), &[item(Kind::Md5, 1), item(Kind::Md5, 2)]);
    assert_eq!(agency.listed(), [item(Kind::Md5, 1)].into());
    let options = ImportOptions { source: Some("three".into()), ..ImportOptions::default() };
    let file = agency.digests(&[item(Kind::Md5, 1)]);
    let refused = agency.world.agency().retract(&agency.world.list, &file, &options, NOON, &mut |_, _, _| ());
    assert_eq!(refused.unwrap_err().reason(), "UNKNOWN_SOURCE");
}

#[test]
fn under_the_rule_of_two_sources_one_is_not_enough() {
    let agency = Agency::new();
    agency.import("one", &[line(1, 1, None, 1), line(2, 2, None, 1)]);
    agency.import("two", &[line(7, 1, None, 2)]);
    agency.world.agency().set_rule(&agency.world.list, |rule| Rule { min_sources: 2, ..rule }).unwrap();
    assert_eq!(agency.listed(), [item(Kind::Md5, 1)].into());
    agency.withdraw("two", 7, Withdrawal::Withdraw).unwrap();
    assert!(agency.listed().is_empty());
}

#[test]
fn of_each_record_only_the_strongest_kind_is_listed_where_the_rule_says_so() {
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1), line(2, 2, None, 1)]);
    agency.world.agency().set_rule(&agency.world.list, |rule| Rule { strongest: true, ..rule }).unwrap();
    assert_eq!(agency.listed(), [item(Kind::Sha256, 1), item(Kind::Md5, 2)].into());
}

#[test]
fn an_entry_comes_and_goes_with_its_dates() {
    let agency = Agency::new();
    let options =
        ImportOptions { valid_from: Some(NOON + 100), valid_until: Some(NOON + 200), ..agency.options("feed") };
    agency.import_with(&options, &[line(1, 1, None, 1)]).unwrap();
    let at = |at| Edition { at, ..agency.edition(Rule::default()) };
    let kinds = |from, to| agency.steps(&at(from), &at(to)).into_iter().map(|step| step.2).collect::<Vec<_>>();
    assert_eq!(kinds(NOON, NOON + 99), []);
    assert_eq!(kinds(NOON, NOON + 100), [PendingKind::Added]);
    assert_eq!(kinds(NOON + 100, NOON + 199), []);
    assert_eq!(kinds(NOON + 100, NOON + 200), [PendingKind::Removed]);
    let differ = |from, to| agency.entries().differ(&agency.world.list, &at(from), &at(to)).unwrap();
    assert!(!differ(NOON, NOON + 99) && differ(NOON, NOON + 100) && differ(NOON + 150, NOON + 300));
}

#[test]
fn known_files_are_set_aside_and_what_is_listed_already_stays() {
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1)]);
    let known = [item(Kind::Md5, 1), item(Kind::Sha256, 2)];
    let excluded = agency.exclude(&known, false);
    assert_eq!((excluded.change.tally.accepted, excluded.listed), (2, 1));
    assert!(agency.is_listed(Kind::Md5, 1));
    let tally = agency.import("feed", &[line(1, 1, 1, 1), line(2, 2, 2, 1)]);
    assert_eq!((tally.accepted, tally.duplicate, tally.reasons["KNOWN_FILE"]), (1, 2, 1));
    assert!(agency.is_listed(Kind::Md5, 2) && !agency.is_listed(Kind::Sha256, 2));
    // What was never claimed is not taken back.
    assert_eq!(agency.import("feed", &[line(1, 1, 1, 1)]).removed, 1);
    agency.exclude(&known, true);
    agency.import("feed", &[line(1, 1, 1, 1), line(2, 2, 2, 1)]);
    assert!(agency.is_listed(Kind::Sha256, 2));
}

#[test]
fn the_same_row_lists_a_digest_once_it_is_not_known_any_more() {
    // The record had the digest, so the same row said nothing new.
    let agency = Agency::new();
    agency.exclude(&[item(Kind::Sha256, 1)], false);
    agency.import("feed", &[line(1, 1, 1, 1)]);
    // What is not listed makes no weaker one suspicious, either.
    assert_eq!(agency.steps(&Edition::EMPTY, &agency.edition(Rule::default()))[0].1[0], 0);
    agency.exclude(&[item(Kind::Sha256, 1)], true);
    assert_eq!(agency.import("feed", &[line(1, 1, 1, 1)]).accepted, 2);
    assert!(agency.is_listed(Kind::Sha256, 1));
}

#[test]
fn a_known_digest_that_is_listed_stays_when_something_else_of_it_changes() {
    // Its claim was rewritten, and the new one set aside.
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1)]);
    agency.exclude(&[item(Kind::Md5, 1)], false);
    agency.retract(None, &[item(Kind::Sha256, 1)]);
    assert_eq!(agency.listed(), [item(Kind::Md5, 1)].into());
    agency.import("feed", &[line(1, 1, None, 2)]);
    assert_eq!(agency.listed(), [item(Kind::Md5, 1)].into());
    let world = World::new();
    world.import(0..2, "A1");
    let known = world.list_file(0..1);
    let options = ImportOptions {
        reading: Options { kind: Some(Kind::Sha256), ..Options::default() },
        ..ImportOptions::default()
    };
    world.agency().exclude(&world.list, &known, &options, false, NOON, &mut |_, _, _| ()).unwrap();
    assert_eq!(world.import(0..1, "B2").tally.relabelled, 1);
}

#[test]
fn rows_of_a_feed_count_by_their_times_and_not_by_their_order() {
    let agency = Agency::new();
    let listed = || agency.is_listed(Kind::Md5, 1);
    agency.feed(&[("a", Some(10), Some(1))]);
    // The same with another time says nothing else, and is remembered.
    agency.feed(&[("a", Some(30), Some(1))]);
    assert_eq!(agency.feed(&[("a", Some(20), None)]).duplicate, 1);
    assert!(listed());
    // Of one time, the withdrawal is the later, in whatever order.
    agency.feed(&[("a", Some(40), None), ("a", Some(40), Some(1))]);
    assert!(!listed());
    assert_eq!(agency.feed(&[("a", Some(40), Some(1))]).retracted, 1);
    agency.feed(&[("a", Some(50), Some(1))]);
    assert!(listed());
    // A row of the future does not outlive what is said now.
    agency.feed(&[("a", Some(1_000_000), Some(1))]);
    agency.feed(&[("a", Some(1_000), None)]);
    assert!(!listed());
}

#[test]
fn a_withdrawal_without_a_time_is_not_undone_by_an_older_page() {
    let agency = Agency::new();
    agency.feed(&[("a", Some(10), Some(1))]);
    agency.feed(&[("a", None, None)]);
    agency.feed(&[("a", Some(10), Some(1))]);
    assert!(!agency.is_listed(Kind::Md5, 1));
}

#[test]
fn categories_that_no_code_book_can_hold_are_refused_where_they_come_in() {
    // They were taken, and no publication was possible any more.
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1)]);
    let cover = |code: &'static str| {
        let category = custom(code);
        let platform = veilmatch_protocol::name::PlatformId::parse("platform.example").unwrap();
        let (source, platform) = ("feed", &platform);
        let cover = crate::admin::Cover { source, category: &category, action: "", reference: "", platform };
        agency.world.agency().canaries(&agency.world.list, 1, &agency.world.path(code), &cover, None, NOON).map(drop)
    };
    assert_eq!(cover("\u{7}").unwrap_err().reason(), "BAD_ARGUMENT");
    cover("fine").unwrap();
    let rows = (0..14_000).map(|n| format!("{},{n:050}\n", hex::encode(Sha256::digest(format!("veilmatch code {n}")))));
    let file = agency.world.path("codes.csv");
    fs::write(&file, format!("sha256,code\n{}", rows.collect::<String>())).unwrap();
    let columns = Columns { code: Some("code".into()), ..Columns::default() };
    let options = ImportOptions { reading: Options { columns, ..Options::default() }, ..ImportOptions::default() };
    let refused =
        agency.world.agency().import(&agency.world.list, &file, &options, NOON, &mut |_, _, _| ()).unwrap_err();
    assert_eq!(refused.reason(), "BAD_ARGUMENT");
    agency.world.publish();
}

#[test]
fn a_rule_that_lists_next_to_nothing_is_refused() {
    let world = World::new();
    let refused = world.agency().set_rule(&world.list, |_| Rule { min_sources: 2, strongest: true }).unwrap_err();
    assert_eq!(refused.reason(), "BAD_ARGUMENT");
}

#[test]
fn where_several_must_vouch_no_label_says_that_a_stronger_kind_is_listed() {
    // One md5 of two records with different sha256: neither of these is listed, and every true match was suspicious.
    let agency = Agency::new();
    agency.import("one", &[line(1, 1, 1, 1)]);
    agency.import("two", &[line(1, 1, 2, 1)]);
    let steps = agency.steps(&Edition::EMPTY, &agency.edition(Rule { min_sources: 2, strongest: false }));
    assert_eq!((steps.len(), steps[0].1[0]), (1, 0));
}

#[test]
fn a_version_that_was_compacted_away_is_not_told_wrongly() {
    let agency = Agency::new();
    agency.world.configure("history_days", "0");
    agency.import("feed", &[line(1, 1, 1, 1)]);
    agency.world.publish();
    agency.import("feed", &[line(2, 2, 2, 1)]);
    agency.world.publish();
    let export = |version| {
        let out = agency.world.path(&format!("{version}.csv"));
        agency.world.agency().export(&agency.world.list, Some(veilmatch_protocol::name::Version(version)), &out, NOON)
    };
    assert_eq!(agency.world.agency().compact(&agency.world.list, NOON).unwrap(), 2);
    assert_eq!(export(1).unwrap_err().reason(), "BAD_ARGUMENT");
    assert_eq!(export(2).unwrap(), 2);
}

#[test]
fn a_source_that_grows_or_shrinks_suddenly_is_not_taken_without_a_word() {
    let agency = Agency::new();
    agency.world.configure("jump_from", "10");
    let lines = |range: std::ops::Range<u8>| range.map(|n| line(n, n, None, 1)).collect::<Vec<_>>();
    agency.import("feed", &lines(0..20));
    for jump in [0..15, 0..31] {
        let refused = agency.import_with(&agency.options("feed"), &lines(jump.clone())).unwrap_err();
        assert!(matches!(refused, Error::Jump { before: 20, least: 16, most: 30, .. }), "{refused}");
        assert_eq!(agency.listed().len(), 20);
        let options = ImportOptions { allow_jump: true, dry_run: true, ..agency.options("feed") };
        agency.import_with(&options, &lines(jump)).unwrap();
    }
    agency.import("feed", &lines(0..16));
    assert_eq!(agency.listed().len(), 16);
}

#[test]
fn a_dry_run_counts_as_the_import_does_and_keeps_nothing() {
    let agency = Agency::new();
    agency.import("feed", &[line(1, 1, 1, 1), line(2, 2, None, 1)]);
    let before = agency.edition(Rule::default());
    let lines = [line(1, 1, 3, 1), line(1, 1, 1, 2), line(4, 4, 4, 1)];
    let dry = agency.import_with(&ImportOptions { dry_run: true, ..agency.options("feed") }, &lines).unwrap();
    assert_eq!(agency.edition(Rule::default()), before);
    assert_eq!(agency.import("feed", &lines), dry);
}

#[test]
fn a_row_whose_key_no_source_has_is_set_aside_with_all_its_digests() {
    // It counted as one, and an import with such a row of two digests did not add up.
    let world = World::new();
    let (md5, sha256) = (hex::encode(digest(Kind::Md5, 1)), hex::encode(digest(Kind::Sha256, 1)));
    let line = format!(r#"{{"id": "{}", "md5": "{md5}", "sha256": "{sha256}"}}"#, "x".repeat(1_025));
    let file = world.path("long.jsonl");
    fs::write(&file, line).unwrap();
    let columns = Columns { id: Some("id".into()), ..Columns::default() };
    let reading = Options { format: Some(Format::Jsonl), columns, ..Options::default() };
    let options = ImportOptions { reading, ..ImportOptions::default() };
    let change = world.agency().import(&world.list, &file, &options, NOON, &mut |_, _, _| ()).unwrap();
    assert_eq!((change.tally.read, change.tally.reasons["MALFORMED"]), (2, 2));
}

#[test]
fn a_time_that_no_store_can_hold_is_as_good_as_never() {
    let world = World::new();
    let file = world.path("times.jsonl");
    let line =
        format!(r#"{{"id": "1", "md5": "{}", "until": "9999999999999999999"}}"#, hex::encode(digest(Kind::Md5, 1)));
    fs::write(&file, line).unwrap();
    let columns = Columns { id: Some("id".into()), valid_until: Some("until".into()), ..Columns::default() };
    let reading = Options { format: Some(Format::Jsonl), columns, ..Options::default() };
    let options = ImportOptions { reading, ..ImportOptions::default() };
    let change = world.agency().import(&world.list, &file, &options, NOON, &mut |_, _, _| ()).unwrap();
    assert_eq!((change.tally.read, change.tally.accepted), (1, 1));
}

#[test]
fn a_category_that_no_code_book_can_have_sets_its_row_aside() {
    let agency = Agency::new();
    let options = ImportOptions { category: Some(custom("\u{7}")), ..agency.options("feed") };
    let tally = agency.import_with(&options, &[line(1, 1, 1, 1)]).unwrap();
    assert_eq!(tally.reasons["MALFORMED"], 2);
}

#[derive(Debug, Clone)]
enum Step {
    Import { source: usize, add: bool, lines: Vec<Line> },
    Retract { source: Option<usize>, items: Vec<(bool, u8)> },
    Withdraw { source: usize, id: u8, back: bool },
    WithdrawDigest { source: Option<usize>, strong: bool, number: u8, back: bool },
    Publish(Rule),
    Compact,
}

const SOURCES: [&str; 2] = ["one", "two"];

fn a_line() -> impl Strategy<Value = Line> {
    (0..6_u8, prop::option::of(0..5_u8), prop::option::of(0..5_u8), 0..2_u8).prop_map(|(id, md5, sha256, code)| Line {
        id,
        md5,
        sha256,
        code,
    })
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let source = 0..SOURCES.len();
    let step = prop_oneof![
        4 => (source.clone(), any::<bool>(), prop::collection::vec(a_line(), 0..6))
            .prop_map(|(source, add, lines)| Step::Import { source, add, lines }),
        2 => (prop::option::of(source.clone()), prop::collection::vec((any::<bool>(), 0..5_u8), 1..4))
            .prop_map(|(source, items)| Step::Retract { source, items }),
        1 => (source.clone(), 0..6_u8, any::<bool>())
            .prop_map(|(source, id, back)| Step::Withdraw { source, id, back }),
        2 => (prop::option::of(source), any::<bool>(), 0..5_u8, any::<bool>())
            .prop_map(|(source, strong, number, back)| Step::WithdrawDigest { source, strong, number, back }),
        2 => (1..3_u32, any::<bool>()).prop_map(|(min_sources, strongest)| Step::Publish(Rule { min_sources, strongest })),
        1 => Just(Step::Compact),
    ];
    prop::collection::vec(step, 1..16)
}

/// The plain model: what each record says, and which records are withdrawn by hand.
#[derive(Default)]
struct Model {
    records: BTreeMap<(usize, u8), (BTreeSet<Item>, u8)>,
    withdrawn: BTreeSet<(usize, u8)>,
    known: BTreeSet<(usize, u8)>,
    digests: BTreeSet<(usize, Item)>,
}

impl Model {
    fn import(&mut self, source: usize, add: bool, lines: &[Line]) {
        if !add {
            self.records.retain(|key, _| key.0 != source);
            self.known.retain(|key| key.0 != source || self.withdrawn.contains(key));
        }
        for Line { id, md5, sha256, code } in lines {
            let key = (source, *id);
            if self.withdrawn.contains(&key) {
                continue;
            }
            let items = md5.map(|n| item(Kind::Md5, n)).into_iter().chain(sha256.map(|n| item(Kind::Sha256, n)));
            let items: BTreeSet<Item> = items.filter(|item| !self.digests.contains(&(source, item.clone()))).collect();
            if !items.is_empty() || self.known.contains(&key) {
                self.known.insert(key);
            }
            self.records.insert(key, (items, *code));
        }
    }

    // Item → code and flag of its label.
    fn listed(&self, rule: &Rule) -> BTreeMap<Item, (u8, u8, bool)> {
        let mut listed: BTreeMap<Item, Vec<(usize, u8, bool)>> = BTreeMap::new();
        let mut keys: Vec<_> = self.records.iter().collect();
        // Keys are compared as the texts that they are.
        keys.sort_by_key(|((source, id), _)| (*source, id.to_string()));
        for ((source, _), (items, code)) in keys {
            for item in items {
                let stronger = items.iter().any(|other| other.kind().id() > item.kind().id());
                if !(rule.strongest && stronger) {
                    listed.entry(item.clone()).or_default().push((*source, *code, stronger));
                }
            }
        }
        listed.retain(|_, claims| {
            claims.iter().map(|claim| claim.0).collect::<BTreeSet<_>>().len() >= rule.min_sources as usize
        });
        listed
            .into_iter()
            .map(|(item, claims)| {
                let flag = rule.min_sources == 1 && item.kind() == Kind::Md5 && claims.iter().all(|claim| claim.2);
                (item, (claims[0].1, u8::try_from(claims[0].0).unwrap() + 1, flag))
            })
            .collect()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    // Whatever happened, what is visited leads from what was published to what the model lists, through the items that
    // changes touched as through all claims.
    #[test]
    fn pending_changes_lead_from_the_last_version_to_what_is_listed(steps in steps()) {
        let agency = Agency::new();
        let mut model = Model::default();
        for (source, name) in SOURCES.iter().enumerate() {
            let first = [line(0, 0, 0, 0), line(1, 1, None, 1)];
            agency.import(name, &first);
            model.import(source, false, &first);
        }
        let codes: BTreeMap<u16, u8> = agency.world.agency().codes(&agency.world.list).unwrap().0
            .iter().map(|row| (row.number, row.code[1..].parse().unwrap())).collect();
        let mut published = agency.edition(Rule::default());
        let mut version = model.listed(&published.rule);
        for step in steps {
            match step {
                Step::Import { source, add, lines } => {
                    let options = ImportOptions { add, ..agency.options(SOURCES[source]) };
                    agency.import_with(&options, &lines).unwrap();
                    model.import(source, add, &lines);
                }
                Step::Retract { source, items } => {
                    let items: Vec<Item> = items.iter().map(|(strong, number)| item(if *strong { Kind::Sha256 } else { Kind::Md5 }, *number)).collect();
                    agency.retract(source.map(|source| SOURCES[source]), &items);
                    for ((of, _), (claimed, _)) in &mut model.records {
                        if source.is_none_or(|source| source == *of) {
                            claimed.retain(|item| !items.contains(item));
                        }
                    }
                }
                Step::Withdraw { source, id, back } => {
                    let key = (source, id);
                    let what = if back { Withdrawal::GiveBack } else { Withdrawal::Withdraw };
                    let Ok(tally) = agency.withdraw(SOURCES[source], id, what) else { continue };
                    if back {
                        prop_assert_eq!(tally.accepted == 1, model.withdrawn.remove(&key));
                    } else if tally.retracted == 1 {
                        model.records.remove(&key);
                        model.withdrawn.insert(key);
                    }
                }
                Step::WithdrawDigest { source, strong, number, back } => {
                    let item = item(if strong { Kind::Sha256 } else { Kind::Md5 }, number);
                    let what = if back { Withdrawal::GiveBack } else { Withdrawal::Withdraw };
                    let told = agency.withdraw_digests(source.map(|source| SOURCES[source]), std::slice::from_ref(&item), what);
                    let mut did = false;
                    for of in (0..SOURCES.len()).filter(|of| source.is_none_or(|source| source == *of)) {
                        if back {
                            did |= model.digests.remove(&(of, item.clone()));
                            continue;
                        }
                        did |= model.digests.contains(&(of, item.clone()));
                        for (_, (claimed, _)) in model.records.iter_mut().filter(|(key, _)| key.0 == of) {
                            if claimed.remove(&item) {
                                did = true;
                                model.digests.insert((of, item.clone()));
                            }
                        }
                    }
                    prop_assert_eq!(told.is_ok(), did);
                }
                Step::Publish(rule) => {
                    published = agency.edition(rule);
                    version = model.listed(&rule);
                }
                Step::Compact => {
                    agency.entries().compact(&agency.world.list, published.change, NOON).unwrap();
                }
            }
            let rule = published.rule;
            let listed = model.listed(&rule);
            let label = |bytes: &[u8]| (codes[&u16::from_be_bytes([bytes[1], bytes[2]])], bytes[3], bytes[0] == 1);
            let mut next = version.clone();
            for (item, bytes, kind) in agency.steps(&published, &agency.edition(rule)) {
                match kind {
                    PendingKind::Kept => prop_assert_eq!(next.get(&item), Some(&label(&bytes))),
                    PendingKind::Added => prop_assert!(next.insert(item, label(&bytes)).is_none()),
                    PendingKind::Relabelled => prop_assert!(next.insert(item, label(&bytes)).is_some()),
                    PendingKind::Removed => prop_assert!(next.remove(&item).is_some()),
                }
            }
            prop_assert_eq!(&next, &listed);
            let all: BTreeMap<_, _> = agency.steps(&Edition::EMPTY, &agency.edition(rule))
                .into_iter().map(|(item, bytes, _)| (item, label(&bytes))).collect();
            prop_assert_eq!(&all, &listed);
            let sizes: u64 = agency.entries().sources(&agency.world.list).unwrap().iter().map(|source| source.size).sum();
            prop_assert_eq!(sizes as usize, model.records.values().map(|(items, _)| items.len()).sum::<usize>());
        }
    }
}
