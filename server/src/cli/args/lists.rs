//! What people type after `list`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use veilmatch_lists::{Category, Columns, Condition, Format, Options};
use veilmatch_protocol::{
    codebook::CUSTOM,
    item::Kind,
    name::{ListId, PlatformId, Version},
};

use crate::{import::ImportOptions, store::Rule};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ListCommand {
    /// Create an empty list with a key of its own
    Create {
        /// Name of the list
        name: ListId,
        /// Length of every label, 0 to 64 bytes; never changed later. From 4 on a label has the number of its category and
        /// of its source, and what is left holds the case or series; a shorter one holds the code itself
        #[arg(long, default_value_t = 4, value_name = "BYTES")]
        label_bytes: u8,
        /// Kinds of digests that the list has: platforms compute all of them for each file
        #[arg(long, value_delimiter = ',', default_value = "md5,sha1,sha256", value_parser = Kind::from_name)]
        kinds: Vec<Kind>,
    },
    /// Take a file of digests into a list: all of it, or nothing
    Import {
        /// Name of the list
        name: ListId,
        /// The file, or - for standard input; .gz and .zip are read as they are
        file: PathBuf,
        #[command(flatten)]
        reading: Reading,
        #[command(flatten)]
        saying: Box<Saying>,
        /// Who says so. A further file of the same source replaces what it said before, unless its format tells changes
        /// only. Without a source, rows are added to those of the source `local`
        #[arg(long, value_name = "NAME")]
        source: Option<ListId>,
        /// Add to what the source said before, whatever the format
        #[arg(long)]
        add: bool,
        /// Take the file even if the source grows or shrinks suddenly
        #[arg(long)]
        allow_jump: bool,
        /// Count, and change nothing
        #[arg(long, conflicts_with = "publish")]
        dry_run: bool,
        /// Publish the list afterwards
        #[arg(long)]
        publish: bool,
    },
    /// Take digests or records out of a list; they leave the platforms with the next publication
    Retract {
        /// Name of the list
        name: ListId,
        /// A file with digests that nobody shall claim any more, or - for standard input
        #[arg(required_unless_present_any = ["ids", "digests", "digest_file"])]
        file: Option<PathBuf>,
        #[command(flatten)]
        reading: Reading,
        /// Take back what this source says, and leave what others say; with --id, the source of the records; without it,
        /// digests are taken from every source that claims them
        #[arg(long, value_name = "NAME")]
        source: Option<ListId>,
        /// Key of a record in its source, such as a MediaID, an Image ID, or MEMBER/ENTRY; may be repeated. It stays out,
        /// whatever later files of its source say
        #[arg(long = "id", value_name = "KEY", conflicts_with = "file")]
        ids: Vec<String>,
        /// A digest, in hexadecimal, or KIND:HEX where its length fits two kinds; may be repeated. It stays out, whatever
        /// records of its source name it, and whatever later files of its source say
        #[arg(long = "digest", value_name = "KIND:HEX", conflicts_with_all = ["file", "ids"])]
        digests: Vec<String>,
        /// The same for every digest of a file, or - for standard input: one on each line, or any format that is imported
        #[arg(long = "digests", value_name = "FILE", conflicts_with_all = ["file", "ids", "digests"])]
        digest_file: Option<PathBuf>,
        /// With --id, --digest or --digests: let the source say again what it likes
        #[arg(long, conflicts_with = "file")]
        undo: bool,
        /// Count, and change nothing
        #[arg(long, conflicts_with = "publish")]
        dry_run: bool,
        /// Publish the list afterwards
        #[arg(long)]
        publish: bool,
    },
    /// Put digests of harmless files on the list's set of known files: imports set them aside
    Exclude {
        /// Name of the list
        name: ListId,
        /// The file, such as NSRLFile.txt or its .zip, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        reading: Reading,
        /// Take them off the set instead
        #[arg(long)]
        remove: bool,
    },
    /// Make files of random bytes and list their digests: a platform that has one and does not report it hides matches
    Canary {
        /// Name of the list
        name: ListId,
        /// How many files
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        count: u32,
        /// Folder to write them into, which is made
        #[arg(long, required_unless_present = "export")]
        out: Option<PathBuf>,
        /// The platform to whose service they will be uploaded
        #[arg(long, required_unless_present = "export")]
        platform: Option<PlatformId>,
        /// The source that their labels name, so that they look like its entries
        #[arg(long = "as", value_name = "SOURCE", required_unless_present = "export")]
        source: Option<ListId>,
        /// Their category
        #[arg(long, value_name = "SCHEME:CODE", value_parser = category, required_unless_present = "export")]
        category: Option<Category>,
        /// The action of their category
        #[arg(long, default_value = "", value_parser = action)]
        action: String,
        /// Their case or series, if entries of the source have one
        #[arg(long, default_value = "")]
        reference: String,
        /// By when they will be uploaded, as 2026-06-30T12:00:00Z; within 30 days if not given
        #[arg(long, value_name = "TIME", value_parser = time)]
        deadline: Option<u64>,
        /// Make none: write what opens the commitments to the canaries, for an auditor
        #[arg(long, value_name = "FILE", conflicts_with_all = ["out", "platform", "source", "category", "deadline"])]
        export: Option<PathBuf>,
    },
    /// Say which claims list an entry; it counts from the next publication on
    Policy {
        /// Name of the list
        name: ListId,
        /// How many sources must vouch for an entry
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=255))]
        min_sources: Option<u32>,
        /// `strongest` leaves a digest out whose record has one of a stronger kind
        #[arg(long, value_enum)]
        kinds: Option<KindChoice>,
    },
    /// Show what stands for categories and sources in labels, or give a category a text
    Codes {
        /// Name of the list
        name: ListId,
        /// A category that gets a text
        #[arg(long, value_name = "SCHEME:CODE", value_parser = category, requires = "text")]
        category: Option<Category>,
        /// The text, which platforms show beside the code
        #[arg(long, requires = "category")]
        text: Option<String>,
    },
    /// Publish what has changed since the last publication
    Publish {
        /// Name of the list
        name: ListId,
        /// Publish even if nothing has changed
        #[arg(long)]
        force: bool,
        /// Before that, set the policy: `strongest` leaves a digest out whose record has one of a stronger kind
        #[arg(long, value_enum)]
        kinds: Option<KindChoice>,
    },
    /// Show lists, or one in full
    Status {
        /// Name of the list
        name: Option<ListId>,
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what changed between two versions, or between one and what is to be published
    Diff {
        /// Name of the list
        name: ListId,
        /// The older version; the newest one if it is not given
        #[arg(long, value_name = "VERSION", value_parser = version)]
        from: Option<Version>,
        /// The newer version; what would be published now if it is not given
        #[arg(long, value_name = "VERSION", value_parser = version)]
        to: Option<Version>,
        /// Show every entry: its digest in clear
        #[arg(long)]
        entries: bool,
    },
    /// Show the versions of a list and the changes between them, or what became of one digest
    History {
        /// Name of the list
        name: ListId,
        /// A digest, in hexadecimal; KIND:DIGEST where its length fits two kinds
        #[arg(long)]
        digest: Option<String>,
    },
    /// Write the entries of a version in clear, as CSV: for the agency's own use
    Export {
        /// Name of the list
        name: ListId,
        /// The version; what would be published now if it is not given
        #[arg(long, value_name = "VERSION", value_parser = version)]
        version: Option<Version>,
        /// Where to write, or - for standard output
        #[arg(long)]
        out: PathBuf,
    },
    /// Write the entries that receipts name, in clear: what an auditor needs to verify level 2 and labels
    Items {
        /// Name of the list
        name: ListId,
        /// The receipts that platforms handed out, as `veilmatch log export` and `log receipt` write them
        #[arg(long, value_name = "FILE")]
        openings: PathBuf,
        /// Where to write: digests, for an auditor who may read them
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Forget claims that were taken back long ago, and make room in the store; older versions cannot be told any more
    Compact {
        /// Name of the list
        name: ListId,
    },
}

/// Which kinds of a record are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum KindChoice {
    /// All of them
    All,
    /// The strongest that is known
    Strongest,
}

impl KindChoice {
    pub(in crate::cli) fn on(self, rule: Rule) -> Rule {
        Rule { strongest: self == Self::Strongest, ..rule }
    }
}

/// How a file of digests is read.
#[derive(Debug, Args)]
pub(in crate::cli) struct Reading {
    /// Layout of the file, if it is not to be recognised: icse, vics, ncmec, stopncii, hashdeep, sums, sums-z, csv, jsonl,
    /// plain, nsrl
    #[arg(long)]
    format: Option<Format>,
    /// Kind of digests that do not name theirs
    #[arg(long, value_parser = Kind::from_name)]
    kind: Option<Kind>,
    /// Take only rows whose field has one of these values, such as Baseline=yes or Category=1,2; may be repeated
    #[arg(long, value_name = "FIELD=VALUE,…")]
    only: Vec<Condition>,
    /// What a column of a table is: md5, sha1, sha256, sha512, digest, id, code, reference, from, until; may be repeated
    #[arg(long = "column", value_name = "WHAT=COLUMN")]
    columns: Vec<String>,
    /// The scheme of the codes in a table
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<ListId>,
    /// The file to read in a .zip with several
    #[arg(long, value_name = "NAME")]
    member: Option<String>,
}

impl Reading {
    pub(in crate::cli) fn member(&self) -> Option<String> {
        self.member.clone()
    }

    pub(in crate::cli) fn options(&self) -> Result<Options, crate::Error> {
        let columns = columns(&self.columns)?;
        Ok(Options {
            format: self.format,
            kind: self.kind,
            only: self.only.clone(),
            columns,
            scheme: self.scheme.as_ref().map(ListId::to_string),
            ..Options::default()
        })
    }
}

fn columns(given: &[String]) -> Result<Columns, crate::Error> {
    let mut columns = Columns::default();
    for column in given {
        let wrong = || crate::Error::argument("--column", format!("{column}: say, for example, sha256=HASH or id=KEY"));
        let (what, name) = column.split_once('=').filter(|(_, name)| !name.is_empty()).ok_or_else(wrong)?;
        let name = name.to_owned();
        match what {
            "digest" => columns.digests.push((name, None)),
            "id" => columns.id = Some(name),
            "code" => columns.code = Some(name),
            "reference" => columns.reference = Some(name),
            "from" => columns.valid_from = Some(name),
            "until" => columns.valid_until = Some(name),
            kind => columns.digests.push((name, Some(Kind::from_name(kind).map_err(|_| wrong())?))),
        }
    }
    Ok(columns)
}

/// What is said of the rows of a file.
#[derive(Debug, Args)]
pub(in crate::cli) struct Saying {
    /// Label of every row: a code of the agency's own, in the scheme `custom`
    #[arg(long, value_name = "CODE", conflicts_with = "category")]
    label: Option<String>,
    /// Category of every row, in place of the file's own
    #[arg(long, value_name = "SCHEME:CODE", value_parser = category)]
    category: Option<Category>,
    /// What platforms are asked to do: report, review, block, preserve
    #[arg(long, default_value = "", value_parser = action)]
    action: String,
    /// Case or series of rows that name none
    #[arg(long, default_value = "")]
    reference: String,
    /// List rows that do not say so themselves from this day or time on (UTC)
    #[arg(long, value_name = "TIME", value_parser = time)]
    valid_from: Option<u64>,
    /// Until when
    #[arg(long, value_name = "TIME", value_parser = time)]
    valid_until: Option<u64>,
}

impl Saying {
    pub(in crate::cli) fn options(self, reading: Options) -> ImportOptions {
        let label = self.label.filter(|label| !label.is_empty());
        let label = label.map(|code| Category { scheme: CUSTOM.into(), code });
        ImportOptions {
            reading,
            category: self.category.or(label),
            action: self.action,
            reference: self.reference,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
            ..ImportOptions::default()
        }
    }
}

fn category(text: &str) -> Result<Category, String> {
    let wrong = || "a category is SCHEME:CODE, such as ncmec:A1 or custom:urgent".to_owned();
    let (scheme, code) = text.split_once(':').ok_or_else(wrong)?;
    if code.is_empty() || ListId::parse(scheme).is_err() {
        return Err(wrong());
    }
    Ok(Category { scheme: scheme.to_owned().into(), code: code.to_owned() })
}

fn time(text: &str) -> Result<u64, String> {
    let wrong = "a time is a day, 2026-01-31, or RFC 3339 in UTC, 2026-01-31T12:00:00Z";
    veilmatch_lists::seconds(text).ok_or_else(|| wrong.to_owned())
}

fn action(text: &str) -> Result<String, String> {
    if text.is_empty() || (text.len() <= 32 && ListId::parse(text).is_ok()) {
        return Ok(text.to_owned());
    }
    Err("an action is a word in small letters, such as report, review, block or preserve".to_owned())
}

fn version(text: &str) -> Result<Version, String> {
    text.parse().ok().filter(|number| *number > 0).map(Version).ok_or_else(|| "a version is a number from 1".to_owned())
}
