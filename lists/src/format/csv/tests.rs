use veilmatch_protocol::item::Kind;

use crate::rows::shape::{as_format, keep, names, read, shape, shaped, told};
use crate::{Columns, Format, Options, Rows};

const KINDS: &[u8] = include_bytes!("../../../samples/csv/kinds.csv");
const MAPPED: &[u8] = include_bytes!("../../../samples/csv/mapped.csv");
const TABS: &[u8] = include_bytes!("../../../samples/csv/tabs.tsv");

fn mapping(digests: &[(&str, Option<Kind>)]) -> Options {
    let column = |name: &str| Some(name.to_owned());
    let columns = Columns {
        digests: digests.iter().map(|(name, kind)| ((*name).to_owned(), *kind)).collect(),
        id: column("entry"),
        code: column("Level"),
        reference: column("case"),
        valid_from: column("From"),
        valid_until: column("until"),
        name: column("PATH"),
    };
    Options { columns, ..as_format(Format::Csv) }
}

fn refusal(input: &[u8], options: &Options) -> String {
    Rows::open(input, options).unwrap_err().to_string()
}

#[test]
fn columns_that_are_named_like_kinds_are_taken_without_a_mapping() {
    assert_eq!(Rows::open(KINDS, &keep()).unwrap().format(), Format::Csv);
    let expected = ["2: sha256#1 md5#1", "3: sha256#2 UNSUPPORTED_KIND", "4: NO_DIGEST", "5: sha256#4 md5#4"];
    assert_eq!(told(&read(KINDS, &keep())), expected);
    assert_eq!(told(&read(TABS, &keep())), ["2: md5#1", "3: md5#2"]);
}

#[test]
fn a_mapping_says_what_the_columns_hold() {
    let options = mapping(&[("HASH", None), ("Other", Some(Kind::Sha256))]);
    let rows = read(MAPPED, &options);
    let expected = [
        "2: [e-1] sha1#1 sha256#1 custom:A1 \"case 7\" from 1769857200 until 1801353600",
        "3: [e-2] AMBIGUOUS_KIND sha256#2 from 1769857200",
        "4: MALFORMED",
        "5: sha1#4 custom:B2 \"café\"",
    ];
    assert_eq!(told(&rows), expected);
    assert_eq!(names(&rows), ["a/b", "", ""]);
    let scheme = Some("uk".to_owned());
    assert!(told(&read(MAPPED, &Options { scheme, ..options }))[3].contains("uk:B2"));
}

#[test]
fn the_operator_decides_what_a_length_leaves_open() {
    let options = mapping(&[("Hash", None), ("Other", None)]);
    assert_eq!(told(&read(MAPPED, &options))[1], "3: [e-2] AMBIGUOUS_KIND AMBIGUOUS_KIND from 1769857200");
    let options = Options { kind: Some(Kind::Md5), ..options };
    assert_eq!(told(&read(MAPPED, &options))[1], "3: [e-2] md5#2 WRONG_LENGTH from 1769857200");
}

#[test]
fn columns_that_are_missing_or_there_twice_are_refused() {
    let options = mapping(&[("Digest", None)]);
    assert_eq!(refusal(MAPPED, &options), "the format csv has no field Digest");
    let options = Options { only: vec!["Size=1".parse().unwrap()], ..as_format(Format::Csv) };
    assert_eq!(refusal(b"md5,name\n", &options), "the format csv has no field Size");
    let columns = Columns { id: Some("key".into()), ..Columns::default() };
    let options = Options { columns, ..as_format(Format::Csv) };
    assert!(refusal(b"md5,key,Key\n", &options).contains("row 1 at byte 0: the header has a column twice"));
    assert!(refusal(b"\nmd5,MD5\n", &as_format(Format::Csv)).contains("row 2 at byte 1: "));
    assert_eq!(told(&read(&b"md5,key,Key\n,1,2\n"[..], &as_format(Format::Csv))), ["2: NO_DIGEST"]);
    assert_eq!(Rows::open(MAPPED, &as_format(Format::Csv)).unwrap_err().reason(), "LIST_NO_DIGEST_COLUMN");
}

#[test]
fn text_that_is_not_utf8_is_iso_8859_1() {
    let columns = Columns { reference: Some("s\u{e9}rie".into()), ..Columns::default() };
    let options = Options { columns, ..as_format(Format::Csv) };
    let input = &b"md5\ts\xe9rie\n\t caf\xe9 \n\t\xc3\xa9\n"[..];
    assert_eq!(told(&read(input, &options)), ["2: NO_DIGEST \"caf\u{e9}\"", "3: NO_DIGEST \"\u{e9}\""]);
}

#[test]
fn conditions_are_on_any_column() {
    let options = Options { only: vec!["size=1,4".parse().unwrap()], ..keep() };
    let expected = ["2: sha256#1 md5#1", "3: FILTERED_OUT FILTERED_OUT", "4: FILTERED_OUT", "5: sha256#4 md5#4"];
    assert_eq!(told(&read(KINDS, &options)), expected);
}

#[test]
fn a_header_is_told_from_a_row() {
    let digest = "a87ff679a2f3e71d9181a67b7542122c";
    let format = |input: String| Rows::open(input.as_bytes(), &keep()).map(|rows| rows.format());
    assert_eq!(format(format!("md5,{digest}\n")).unwrap(), Format::Plain);
    assert_eq!(format(format!("name;md5\nx;{digest}\n")).unwrap(), Format::Csv);
    let error = format(format!("md5\n{digest}\n")).unwrap_err();
    assert_eq!(error.to_string(), "the beginning of the list fits several formats: plain, csv");
}

#[test]
fn endless_records_are_set_aside_and_endless_quotes_are_refused_in_bounded_memory() {
    use std::io::{BufReader, Read};
    const LONG: u64 = 64 << 20;
    let input = |begin: &'static str| {
        let endless = std::io::repeat(b'x').take(LONG).chain(&b"\nn,a87ff679a2f3e71d9181a67b7542122c\n"[..]);
        BufReader::new(begin.as_bytes().chain(endless))
    };
    let rows = read(input("name,md5\n"), &keep());
    assert_eq!(shape(&rows), shaped(&[(2, "LINE_TOO_LONG"), (3, "md5")]));
    let mut rows = Rows::open(input("name,md5\n\""), &keep()).unwrap();
    assert!(rows.next().unwrap().unwrap_err().to_string().contains("row 2 at byte 9"));
}

#[test]
fn a_table_may_be_as_wide_as_a_line_is_long() {
    let names: Vec<_> = (0..10_000).map(|number| format!("c{number}")).collect();
    let header = format!("{}\tmd5\n", names.join("\t"));
    let row = format!("{}a87ff679a2f3e71d9181a67b7542122c\n", "\t".repeat(10_000));
    let options = Options { only: vec!["C9999=,x".parse().unwrap()], ..as_format(Format::Csv) };
    let rows = read([header, row.clone(), row].concat().as_bytes(), &options);
    assert_eq!(shape(&rows), shaped(&[(2, "md5"), (3, "md5")]));
}
