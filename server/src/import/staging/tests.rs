use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt,
    panic::{self, AssertUnwindSafe},
};

use proptest::prelude::*;
use sha2::Digest;
use veilmatch_lists::{Columns, Format, Options};
use veilmatch_protocol::{item::Kind, name::Version};

use super::*;
use crate::{
    import::{ImportOptions, Portion},
    store::{Change, Entries},
    world::{NOON, World, custom},
};

/// An agency whose imports read a few rows at a time and have short runs.
struct Agency {
    world: World,
}

/// What an import told, and what became of it; none if it was killed.
struct Told {
    news: Vec<ImportStage>,
    change: Option<Result<Change, Error>>,
}

impl Told {
    fn done(self) -> Change {
        self.change.unwrap().unwrap()
    }

    fn is_continued(&self) -> bool {
        self.news.contains(&ImportStage::Continue)
    }

    fn discarded(&self) -> Option<Stale> {
        self.news.iter().find_map(|news| if let ImportStage::Discard(stale) = news { Some(*stale) } else { None })
    }
}

impl Agency {
    fn new() -> Self {
        Self { world: World::new() }
    }

    /// Imports a file; dies at some report of progress, as a process does that is killed there.
    fn import(&self, path: &Path, options: &ImportOptions, dies_at: Option<usize>) -> Told {
        let agency = self.world.agency();
        let list = self.world.store().list(&self.world.list).unwrap();
        let mut entries = Entries::open(&agency.dir().entries_database()).unwrap();
        let portion = Portion { rows: 97, run: 40_000 };
        let (limits, now) = (&agency.config().import, self.world.now());
        let intake = Intake { dir: agency.dir(), list: &list, limits, options, now, portion };
        let mut news = Vec::new();
        let change = panic::catch_unwind(AssertUnwindSafe(|| {
            let file = ListFile::open(File::open(path).unwrap(), path, options, !options.dry_run)?;
            let ledger = entries.change(&self.world.list, options.dry_run)?;
            intake.import(ledger, file, &mut |stage, _, _| {
                news.push(stage);
                if dies_at.is_some_and(|at| news.len() > at) {
                    panic::resume_unwind(Box::new("killed"));
                }
            })
        }));
        Told { news, change: change.ok() }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.world.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    fn staged(&self) -> PathBuf {
        self.world.root().join("staged")
    }

    /// All that is listed, with what is said of it, in clear.
    fn exported(&self) -> String {
        let out = self.world.path("export.csv");
        let _ = fs::remove_file(&out);
        self.world.agency().export(&self.world.list, None::<Version>, &out, self.world.now()).unwrap();
        fs::read_to_string(out).unwrap()
    }
}

/// Rows of a file that is longer than what is read ahead.
const ROWS: u32 = 4_000;

fn digest(kind: Kind, number: u32) -> String {
    hex::encode(&sha2::Sha512::digest(format!("veilmatch {} {number}", kind.name()))[..kind.digest_len()])
}

fn options() -> ImportOptions {
    ImportOptions { source: Some("feed".into()), category: Some(custom("x")), ..ImportOptions::default() }
}

fn with_keys() -> ImportOptions {
    let columns = Columns { id: Some("id".into()), code: Some("code".into()), ..Columns::default() };
    ImportOptions { reading: Options { columns, ..Options::default() }, category: None, ..options() }
}

fn table(rows: impl IntoIterator<Item = u32>) -> String {
    rows.into_iter().fold("id,md5,sha256,code\n".to_owned(), |mut text, n| {
        writeln!(text, "{n},{},{},c{}", digest(Kind::Md5, n), digest(Kind::Sha256, n / 2), n % 5).unwrap();
        text
    })
}

/// A text of each kind of format: those that are gone on with at a row, and one that is only where it was read to its end.
fn file(format: Format, numbers: &[u32]) -> (String, ImportOptions) {
    let md5 = |n: &u32| digest(Kind::Md5, *n);
    match format {
        Format::Csv => (table(numbers.iter().copied()), with_keys()),
        Format::Plain => {
            let line = |n: &u32| if n.is_multiple_of(9) { "md5 none\n".into() } else { format!("md5 {}\n", md5(n)) };
            (numbers.iter().map(line).collect(), options())
        }
        Format::Vics => {
            let medium = |n: &u32| format!(r#"{{"MediaID": {n}, "Category": {}, "MD5": "{}"}}"#, n % 3, md5(n));
            let media: Vec<_> = numbers.iter().map(medium).collect();
            let metadata = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/US/$metadata#Media";
            let text = format!(r#"{{"@odata.context": "{metadata}", "value": [{}]}}"#, media.join(",\n "));
            (text, ImportOptions { category: None, ..options() })
        }
        _ => {
            let image = |n: &u32| {
                let md5 = md5(n);
                format!(
                    "<image><member id=\"1\"/><id>{n}</id><timestamp>2026-05-01T00:00:00Z</timestamp>\
                     <fingerprints><md5>{md5}</md5></fingerprints></image>"
                )
            };
            let images: String = numbers.iter().map(image).collect();
            let space = "https://hashsharing.ncmec.org/hashsharing/v2";
            (format!("<queryResult xmlns=\"{space}\"><images>{images}</images></queryResult>"), options())
        }
    }
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(bytes).unwrap();
    packed.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn an_import_that_is_killed_again_and_again_ends_as_if_it_had_never_been(
        format in prop::sample::select(vec![Format::Csv, Format::Plain, Format::Vics, Format::Ncmec]),
        numbers in prop::collection::vec(0..6_000_u32, 1_000..5_000),
        deaths in prop::collection::vec(0.0..1.0_f64, 1..5),
        before in prop::option::of(0..4_000_u32),
        pack in any::<bool>(),
    ) {
        let (text, options) = file(format, &numbers);
        let text = if pack { packed(text.as_bytes()) } else { text.into_bytes() };
        let options = ImportOptions { allow_jump: true, ..options };
        let (killed, whole) = (Agency::new(), Agency::new());
        for agency in [&killed, &whole] {
            // What its source said before.
            if let Some(last) = before {
                let (text, options) = file(format, &(0..last).collect::<Vec<_>>());
                agency.import(&agency.write("before", text), &options, None).done();
            }
        }
        let wanted = whole.import(&whole.write("list", &text), &options, None);
        let reports = wanted.news.len();
        let wanted = wanted.done();
        prop_assert!(wanted.tally.accepted > 0);
        let path = killed.write("list", &text);
        let had = killed.exported();
        for death in deaths {
            let dies_at = (death * reports as f64) as usize;
            let told = killed.import(&path, &options, Some(dies_at));
            prop_assert_eq!(told.discarded(), None);
            if let Some(change) = told.change {
                // It had less to tell, because it went on.
                prop_assert_eq!(&change.unwrap().tally, &wanted.tally);
                prop_assert_eq!(killed.exported(), whole.exported());
                return Ok(());
            }
            prop_assert_eq!(&killed.exported(), &had);
        }
        let told = killed.import(&path, &options, None);
        prop_assert_eq!(told.discarded(), None);
        prop_assert_eq!(told.done().tally, wanted.tally);
        prop_assert_eq!(killed.exported(), whole.exported());
        prop_assert!(!killed.staged().exists());
        // What is remembered of each row is the same, too.
        let again = |agency: &Agency| agency.import(&agency.write("list", &text), &options, None).done().tally;
        prop_assert_eq!(again(&killed), again(&whole));
    }
}

/// An agency in which an import was killed after some of its file was read; its file.
fn killed() -> (Agency, PathBuf) {
    let agency = Agency::new();
    let path = agency.write("table.csv", table(0..ROWS));
    assert!(agency.import(&path, &with_keys(), Some(20)).change.is_none());
    assert!(agency.staged().join(STATE).exists());
    (agency, path)
}

#[test]
fn an_import_that_was_killed_goes_on_where_it_was() {
    let (agency, path) = killed();
    let told = agency.import(&path, &with_keys(), None);
    assert!(told.is_continued());
    let reads = told.news.iter().filter(|news| **news == ImportStage::Read).count();
    // Of 4,000 rows, 97 at a time.
    assert!(reads < 35, "{reads}");
    let tally = told.done().tally;
    assert_eq!((tally.read, tally.accepted), (8_000, 8_000));
    assert!(!agency.staged().exists());
}

#[test]
fn a_packed_file_is_gone_on_with_too() {
    let agency = Agency::new();
    let path = agency.write("table.csv.gz", packed(table(0..ROWS).as_bytes()));
    assert!(agency.import(&path, &with_keys(), Some(20)).change.is_none());
    let told = agency.import(&path, &with_keys(), None);
    assert!(told.is_continued());
    assert_eq!(told.done().tally.accepted, 8_000);
}

#[test]
fn what_was_read_to_its_end_is_not_read_again() {
    let agency = Agency::new();
    let (text, options) = file(Format::Ncmec, &(0..2_000).collect::<Vec<_>>());
    let path = agency.write("pages.xml", text);
    let whole = Agency::new().import(&path, &options, None).news.len();
    assert!(agency.import(&path, &options, Some(whole - 1)).change.is_none());
    let told = agency.import(&path, &options, None);
    assert!(told.is_continued());
    assert_eq!(told.done().tally.accepted, 2_000);
}

#[test]
fn what_a_killed_import_had_read_is_closed_to_others() {
    let (agency, _) = killed();
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&agency.staged()), 0o700);
    let files: Vec<_> = fs::read_dir(agency.staged()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(files.len() > 1);
    assert!(files.iter().all(|file| mode(file) == 0o600), "{files:?}");
}

#[test]
fn another_command_throws_away_what_was_read() {
    for (name, other) in [
        ("table.csv", ImportOptions { source: Some("other".into()), ..with_keys() }),
        ("table.csv", ImportOptions { reference: "case 7".into(), ..with_keys() }),
        ("else.csv", with_keys()),
    ] {
        let (agency, _) = killed();
        let told = agency.import(&agency.write(name, table(0..ROWS)), &other, None);
        assert_eq!((told.discarded(), told.is_continued()), (Some(Stale::Command), false));
        assert_eq!(told.done().tally.accepted, 8_000);
    }
}

#[test]
fn a_file_that_changed_where_it_was_read_is_read_anew() {
    let (agency, path) = killed();
    let changed = table(0..ROWS).replacen(&digest(Kind::Md5, 3), &digest(Kind::Md5, 1_003), 1);
    fs::write(&path, changed).unwrap();
    let told = agency.import(&path, &with_keys(), None);
    assert_eq!((told.discarded(), told.is_continued()), (Some(Stale::File), false));
    assert_eq!(told.done().tally.accepted, 8_000);
    assert!(agency.exported().contains(&digest(Kind::Md5, 1_003)));
}

#[test]
fn a_file_that_is_longer_than_it_was_is_taken_to_its_end() {
    // Cut within a row: what is behind it makes another row of it.
    let text = table(0..ROWS + 1);
    let cut = text.len() - 40;
    for dies_at in [20, 39, 40, 41, 42, 43] {
        let agency = Agency::new();
        let path = agency.write("table.csv", &text[..cut]);
        assert!(agency.import(&path, &with_keys(), Some(dies_at)).change.is_none());
        fs::write(&path, &text).unwrap();
        let tally = agency.import(&path, &with_keys(), None).done().tally;
        assert_eq!((tally.read, tally.accepted, tally.quarantined), (8_002, 8_002, 0), "{dies_at}");
    }
}

#[test]
fn what_the_list_became_decides_whether_what_was_read_counts() {
    let (agency, path) = killed();
    let told = agency.import(&path, &ImportOptions { dry_run: true, ..with_keys() }, None);
    assert_eq!((told.discarded(), told.is_continued()), (None, false), "a dry run leaves it as it is");
    assert!(agency.staged().join(STATE).exists());

    let (agency, path) = killed();
    let known = agency.write("known.txt", format!("md5 {}\n", digest(Kind::Md5, 3)));
    let options = ImportOptions::default();
    agency.world.agency().exclude(&agency.world.list, &known, &options, false, NOON, &mut |_, _, _| ()).unwrap();
    let told = agency.import(&path, &with_keys(), None);
    assert_eq!(told.discarded(), Some(Stale::List));
    assert_eq!(told.done().tally.reasons["KNOWN_FILE"], 1);
}

#[test]
fn a_retraction_in_between_leaves_what_was_read() {
    let agency = Agency::new();
    agency.world.import(0..3, "c0");
    let path = agency.write("table.csv", table(0..ROWS));
    assert!(agency.import(&path, &with_keys(), Some(20)).change.is_none());
    agency.world.retract(0..2);
    assert!(agency.import(&path, &with_keys(), None).is_continued());
}

#[test]
fn what_cannot_be_read_back_is_read_anew() {
    for break_it in [
        |folder: &Path| fs::remove_file(folder.join("keyed-0")).unwrap(),
        |folder: &Path| fs::write(folder.join("keyed-0"), b"cut").unwrap(),
    ] {
        let (agency, path) = killed();
        break_it(&agency.staged());
        let told = agency.import(&path, &with_keys(), None);
        assert_eq!((told.discarded(), told.is_continued()), (Some(Stale::Damaged), false));
        assert_eq!(told.done().tally.accepted, 8_000);
    }
    let (agency, path) = killed();
    fs::write(agency.staged().join(STATE), b"{}").unwrap();
    let told = agency.import(&path, &with_keys(), None);
    assert!(!told.is_continued());
    assert_eq!(told.done().tally.accepted, 8_000);
}

#[test]
fn what_nobody_goes_on_with_for_a_day_is_removed() {
    let (agency, path) = killed();
    agency.world.clock.advance(DAY);
    agency.world.agency().publish(&agency.world.list, true, agency.world.now(), &|_| ()).unwrap();
    assert!(agency.staged().exists());
    agency.world.clock.advance(1);
    assert_eq!(agency.import(&path, &with_keys(), Some(20)).discarded(), Some(Stale::Old));
    agency.world.clock.advance(DAY + 1);
    agency.world.agency().publish(&agency.world.list, true, agency.world.now(), &|_| ()).unwrap();
    assert!(!agency.staged().exists());
}

#[test]
fn an_import_that_fails_leaves_nothing_and_one_that_is_refused_before_it_reads_takes_nothing_away() {
    let (agency, path) = killed();
    let long = ImportOptions { category: Some(custom(&"x".repeat(300))), ..with_keys() };
    assert_eq!(agency.import(&path, &long, None).change.unwrap().unwrap_err().reason(), "LABEL_TOO_LONG");
    assert!(agency.staged().join(STATE).exists());
    let broken = agency.write("table.csv", table(0..ROWS) + "\"never closed");
    assert_eq!(agency.import(&broken, &with_keys(), None).change.unwrap().unwrap_err().reason(), "BAD_HASH_LIST");
    assert!(!agency.staged().exists());
    assert_eq!(agency.exported().lines().count(), 1);
}
