use std::{borrow::Cow, ffi::OsStr, os::unix::ffi::OsStrExt, path::PathBuf, sync::Arc, time::Duration};

use veilmatch_proto::Reason;
use veilmatch_protocol::{
    item::{Item, Kind},
    name::ListId,
};

use super::{text::escaped, *};
use crate::{Label, NotChecked, fake};

fn printed(format: Format, all: bool, answers: &[(Origin, Outcome)]) -> String {
    let list = ListId::parse("baseline").unwrap();
    let mut out = Vec::new();
    let mut printer = Printer::new(format, all, &mut out);
    for (origin, outcome) in answers {
        printer.answer(&Answer { origin, list: &list, outcome, detail: None, new: None }).unwrap();
    }
    printer.flush().unwrap();
    drop(printer);
    String::from_utf8(out).unwrap()
}

fn path(path: &[u8]) -> Origin {
    Origin::Path(PathBuf::from(OsStr::from_bytes(path)))
}

fn matched(label: &[u8]) -> Outcome {
    Outcome::Match { label: label.to_vec().into(), kind: Kind::Sha256, version: 3, weak_only: false }
}

fn line(number: u64, name: Option<&[u8]>) -> Origin {
    let item = Item::new(Kind::Md5, b"0123456789abcdef").unwrap();
    Origin::Line { number, name: name.map(<[u8]>::to_vec), items: vec![item] }
}

fn three() -> Vec<(Origin, Outcome)> {
    vec![
        (path(b"up/a.bin"), matched(b"A1\0\0")),
        (path(b"up/b.bin"), Outcome::NoMatch { version: 3 }),
        (path(b"up/c.bin"), Outcome::NotChecked(NotChecked::Source("UNREADABLE"))),
    ]
}

#[test]
fn a_table_shows_what_somebody_must_look_at() {
    assert_eq!(
        printed(Format::Table, false, &three()),
        "OUTCOME      LABEL OR REASON  KIND    WHAT\n\
         match        A1               sha256  up/a.bin\n\
         not checked  UNREADABLE       -       up/c.bin\n"
    );
    assert!(printed(Format::Table, true, &three()).contains("\nno match     -                -       up/b.bin\n"));
}

#[test]
fn json_lines_have_every_answer() {
    let lines = printed(Format::Jsonl, false, &three());
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        [
            r#"{"outcome":"match","path":"up/a.bin","list":"baseline","version":3,"kind":"sha256","label":"A1","label_hex":"41310000"}"#,
            r#"{"outcome":"no_match","path":"up/b.bin","list":"baseline","version":3}"#,
            r#"{"outcome":"not_checked","path":"up/c.bin","list":"baseline","reason":"UNREADABLE"}"#,
        ]
    );
}

#[test]
fn csv_has_every_answer_under_a_header() {
    assert_eq!(
        printed(Format::Csv, false, &three()),
        "outcome,path,line,name,digests,list,version,kind,label,label_hex,new,reason,detail,scheme,code,action,source,reference,weak_only\n\
         match,up/a.bin,,,,baseline,3,sha256,A1,41310000,,,,,,,,,false\n\
         no_match,up/b.bin,,,,baseline,3,,,,,,,,,,,,\n\
         not_checked,up/c.bin,,,,baseline,,,,,,UNREADABLE,,,,,,,\n"
    );
    assert_eq!(printed(Format::Csv, false, &[]).lines().count(), 1);
}

#[test]
fn a_line_of_a_list_is_named_by_number_name_and_digest() {
    let answers = [(line(7, Some(b"x\ny")), matched(b"")), (line(8, None), Outcome::NoMatch { version: 3 })];
    let hex = hex::encode(b"0123456789abcdef");
    assert!(printed(Format::Table, true, &answers).contains("line 7: x\\ny\n"));
    assert!(printed(Format::Table, true, &answers).contains(&format!("line 8: {hex}\n")));
    let json = printed(Format::Jsonl, true, &answers);
    assert!(json.starts_with(&format!(r#"{{"outcome":"match","line":7,"name":"x\ny","digests":{{"md5":"{hex}"}},"#)));
    assert!(printed(Format::Csv, true, &answers).contains(&format!("match,,7,\"x\ny\",md5:{hex},baseline,3,")));
}

#[test]
fn a_reason_brings_what_it_carries() {
    let refused =
        NotChecked::Refused { reason: Reason::BudgetExhausted, retry_after: Some(Duration::from_millis(1_001)) };
    let answers = [
        (path(b"a"), Outcome::NotChecked(NotChecked::KindMissing(Kind::Sha1))),
        (path(b"b"), Outcome::NotChecked(refused)),
    ];
    let json = printed(Format::Jsonl, true, &answers);
    assert!(json.contains(r#""reason":"KIND_MISSING","detail":"sha1"}"#), "{json}");
    assert!(json.contains(r#""reason":"BUDGET_EXHAUSTED","retry_after_s":2}"#), "{json}");
}

#[test]
fn a_name_cannot_write_to_the_terminal() {
    assert_eq!(escaped(b"plain \xc3\xa4 \"quoted\""), "plain ä \"quoted\"");
    assert_eq!(escaped(b"a\nb\r\t\x1b[2J\x7f"), "a\\nb\\r\\t\\x1b[2J\\x7f");
    assert_eq!(escaped("exe.\u{202e}gpj\u{9b}".as_bytes()), "exe.\\u{202e}gpj\\u{9b}");
    assert_eq!(escaped(b"\xff\\"), "\\xff\\\\");
    let table = printed(Format::Table, false, &[(path(b"a\nmatch  A1"), matched(b"A1"))]);
    assert_eq!(table.lines().count(), 2);
}

#[test]
fn a_label_is_text_only_if_it_can_be_shown() {
    let shown = |label: &[u8]| printable_label(&label.to_vec().into()).map(Cow::into_owned);
    assert_eq!(shown(b"A1\0\0").unwrap(), "A1");
    assert_eq!(shown(b"\0\0").unwrap(), "");
    assert_eq!(shown(b"a\0b"), None);
    assert_eq!(shown(b"\xff"), None);
    assert_eq!(shown("\u{202e}".as_bytes()), None);
    assert!(printed(Format::Table, false, &[(path(b"a"), matched(b"\xff\x01"))]).contains("match        0xff01"));
}

#[test]
fn a_coded_label_shows_its_code_with_the_scheme_its_source_and_its_reference() {
    // SPEC §7.7
    let coded = |label: &[u8]| {
        let label = Label::coded(label.to_vec(), Some(&Arc::new(fake::code_book())));
        vec![(path(b"a"), Outcome::Match { label, kind: Kind::Md5, version: 3, weak_only: false })]
    };
    let table = |label| printed(Format::Table, false, &coded(label)).lines().nth(1).unwrap().to_owned();
    assert_eq!(table(b"\0\0\x01\0\0\0\0\0"), "match        abc              md5     a");
    assert_eq!(table(b"\0\0\x02\x01case"), "match        uk:A             md5     a (source one, reference case)");
    assert_eq!(table(b"\0\0\0\0\0\0\0\0"), "match        -                md5     a");
    // What cannot be interpreted is there as bytes.
    assert_eq!(table(b"\0\0\x07\x01"), "match        0x00000701       md5     a (source one)");
    assert_eq!(table(b"\0\0\x02\x07\xff"), "match        uk:A             md5     a (label 0x00000207ff)");

    let json = printed(Format::Jsonl, false, &coded(b"\0\0\x02\x01case"));
    let members = r#""label":"uk:A","label_hex":"0000020163617365","scheme":"uk","code":"A","action":"report","source":"one","reference":"case"}"#;
    assert!(json.contains(members), "{json}");
    let json = printed(Format::Jsonl, false, &coded(b"\0\0\x07\0"));
    assert!(json.contains(r#""kind":"md5","label_hex":"00000700"}"#), "{json}");
    let csv = printed(Format::Csv, false, &coded(b"\0\0\x01\x01\0\0"));
    assert!(csv.ends_with("abc,000001010000,,,,custom,abc,,one,,false\n"), "{csv}");
}

#[test]
fn a_match_of_weak_kinds_only_says_so_in_every_format() {
    // SPEC §12.6
    let label = Label::coded(b"\x01\0\x01\0".to_vec(), Some(&Arc::new(fake::code_book())));
    let planted = [(path(b"a"), Outcome::Match { label, kind: Kind::Md5, version: 3, weak_only: true })];
    assert_eq!(
        printed(Format::Table, false, &planted).lines().nth(1).unwrap(),
        "match weak   abc              md5     a (weak kinds only: perhaps a planted collision, let a person look at it)"
    );
    let json = printed(Format::Jsonl, false, &planted);
    assert!(json.starts_with(r#"{"outcome":"match","#) && json.contains(r#","weak_only":true}"#), "{json}");
    let record: Record<'_> = serde_json::from_str(&json).unwrap();
    assert!(record.is_weak_only());
    let csv = printed(Format::Csv, false, &planted);
    assert!(csv.contains("\nmatch,a,") && csv.ends_with(",custom,abc,,,,true\n"), "{csv}");
    assert!(!printed(Format::Jsonl, false, &[(path(b"a"), matched(b"A1"))]).contains("weak_only"));
}

#[test]
fn a_path_comes_back_from_its_record_byte_for_byte() {
    for name in [&b"plain"[..], b"a\nb", b"\xff/x", "ä".as_bytes(), b"\xef\xbf\xbd"] {
        let json = printed(Format::Jsonl, true, &[(path(name), Outcome::NoMatch { version: 1 })]);
        let record: Record<'_> = serde_json::from_str(&json).unwrap();
        assert_eq!(record.path().unwrap().as_os_str().as_bytes(), name);
    }
}
