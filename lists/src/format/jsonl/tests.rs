use veilmatch_protocol::item::Kind;

use crate::rows::shape::{as_format, keep, names, read, shape, shaped, told};
use crate::{Columns, Format, MAX_LINE_BYTES, Options, Rows};

const MAPPED: &[u8] = include_bytes!("../../../samples/jsonl/mapped.jsonl");
const KINDS: &[u8] = include_bytes!("../../../samples/jsonl/kinds.jsonl");

fn mapping() -> Options {
    let member = |name: &str| Some(name.to_owned());
    let columns = Columns {
        digests: vec![("hash".into(), Some(Kind::Sha1)), ("other".into(), Some(Kind::Sha256))],
        id: member("entry"),
        code: member("level"),
        reference: member("case"),
        valid_from: member("from"),
        valid_until: member("until"),
        name: member("path"),
    };
    Options { columns, ..as_format(Format::Jsonl) }
}

#[test]
fn members_that_are_named_like_kinds_are_taken_without_a_mapping() {
    assert_eq!(Rows::open(KINDS, &keep()).unwrap().format(), Format::Jsonl);
    assert_eq!(told(&read(KINDS, &keep())), ["1: md5#1 sha256#1", "2: sha1#2 UNSUPPORTED_KIND"]);
}

#[test]
fn a_mapping_says_what_the_members_hold() {
    let rows = read(MAPPED, &mapping());
    let expected = [
        "1: [1] sha1#1 sha256#1 custom:2 \"case 7\" from 1769857200 until 1801353600",
        "2: [123456789012345678901234567890] sha1#2",
        "4: MALFORMED",
        "5: MALFORMED",
        "6: MALFORMED",
        "7: MALFORMED",
        "8: [e-7] NO_DIGEST",
        "9: MALFORMED",
        "10: MALFORMED",
        "11: [true] sha1#10",
    ];
    assert_eq!(told(&rows), expected);
    assert_eq!(names(&rows), ["a/b"]);
}

#[test]
fn a_condition_on_a_member_that_a_line_does_not_have_fails() {
    let options = Options { only: vec!["level=2,3".parse().unwrap()], ..mapping() };
    let told = told(&read(MAPPED, &options));
    assert!(told[0].starts_with("1: [1] sha1#1"));
    assert_eq!(told[1], "2: [123456789012345678901234567890] FILTERED_OUT");
}

#[test]
fn bad_lines_are_set_aside_and_reading_goes_on() {
    let good = "{\"md5\":\"a87ff679a2f3e71d9181a67b7542122c\"}";
    let deep = format!("{{\"md5\":{}1{}}}", "[".repeat(1000), "]".repeat(1000));
    let long = format!("{good}{}", " ".repeat(MAX_LINE_BYTES));
    let cases = [
        (&deep[..], "MALFORMED"),
        (&long[..], "LINE_TOO_LONG"),
        ("{}", "NO_DIGEST"),
        ("null", "MALFORMED"),
        ("{\"md5\":\"\\ud800\"}", "MALFORMED"),
        ("{\"md5\":\"a87ff679a2f3e71d9181a67b7542122c\",}", "MALFORMED"),
        ("{\"MD5\":null,\"md5\":null}", "MALFORMED"),
    ];
    for (bad, reason) in cases {
        let rows = read(format!("{good}\r\n{bad}\n{good}").as_bytes(), &keep());
        assert_eq!(shape(&rows), shaped(&[(1, "md5"), (2, reason), (3, "md5")]), "{bad:.40}");
    }
}

#[test]
fn an_object_without_digests_is_another_format() {
    let array = format!("[\n{{\"md5\":\"{0}\"}},\n{{\"md5\":\"{0}\"}}\n]\n", "a87ff679a2f3e71d9181a67b7542122c");
    for input in [&array, "{\"value\": [{\"MD5\": \"\"}]}\n", "[]", "{\"id\": 1}"] {
        assert_eq!(Rows::open(input.as_bytes(), &keep()).unwrap_err().reason(), "UNKNOWN_LIST_FORMAT");
    }
}

#[test]
fn a_row_may_be_as_wide_as_a_line_is_long() {
    let digest = "a87ff679a2f3e71d9181a67b7542122c";
    // Every mixture of ten dashes and underscores behind it is still MD5.
    let member =
        |number: u32| format!("\"md5{}\":\"{digest}\"", format!("{number:010b}").replace('0', "-").replace('1', "_"));
    let line = |members: Vec<String>| format!("{{{}}}\n", members.join(","));
    let wide = line((0..1024).map(member).collect());
    let twice = line((0..1024).chain([7]).map(member).collect());
    let mut rows =
        Rows::open([&wide[..], &twice].concat().as_bytes(), &keep()).unwrap().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!(shape(&rows.split_off(1)), shaped(&[(2, "MALFORMED")]));
    assert_eq!(rows[0].weight(), 1024);
}
