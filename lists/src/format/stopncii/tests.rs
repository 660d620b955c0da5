use crate::format::said::{fails_behind, refused, rows};
use crate::{Format, Options, Rows};

const PAGES: &[u8] = include_bytes!("../../../samples/stopncii/pages.json");

fn one(record: &str) -> Vec<String> {
    rows(format!("{{\"hashRecords\": [{record}]}}").as_bytes(), &Options::default())
}

#[test]
fn the_status_decides_and_not_the_value_or_what_platforms_said() {
    let expected = [
        "1 VideoMD5/d0a6bc1ad4823cbfcdd357be434daecc @1700000000: md5 d0a6bc1a stopncii:ncii (case-1)",
        "2 VideoMD5/2731d146e38d40b3e3b0b1f15f74e87a @1700000010: md5 2731d146 stopncii:ncii (case-3)",
        "3 ImagePDQ/fea6ef5e9b632c3312ac664d7fe180ac575c9433aa02f3414adcd5cce3bd0aa7 @1700000020: UNSUPPORTED_KIND \
         stopncii:ncii (case-1)",
        "4 ImagePDQ/00000000000000000000000000000000 @1700000030: UNSUPPORTED_KIND stopncii:ncii (case-4)",
        "5 VideoMD5/00000000000000000000000000000000 @1700000040: CONSTANT_DIGEST stopncii:ncii (case-4)",
        "6 VideoTMK/VE1LMQ== @1700000050: UNSUPPORTED_KIND stopncii:ncii",
        "7 Text/a text @1700000060: UNSUPPORTED_KIND stopncii:ncii",
        "8 URL/https://example.org/ @1700000070: UNSUPPORTED_KIND stopncii:ncii",
        "9 Unknown/? @1700000080: UNSUPPORTED_KIND stopncii:ncii",
        "10: MALFORMED",
        "11 VideoMD5/2731d146e38d40b3e3b0b1f15f74e87a @1700000200: withdrawn",
        "12 VideoMD5/c897e5984cd3facecd3471900b04fba3 @1700000210: withdrawn",
        "13 ImagePDQ/fea6ef5e9b632c3312ac664d7fe180ac575c9433aa02f3414adcd5cce3bd0aa7 @1700000220: withdrawn",
    ];
    assert_eq!(rows(PAGES, &Options::default()), expected);
}

#[test]
fn pages_are_recognised() {
    assert_eq!(Rows::open(PAGES, &Options::default()).unwrap().format(), Format::Stopncii);
}

#[test]
fn a_condition_keeps_no_withdrawal_out() {
    let only = vec!["hashstatus=active".parse().unwrap()];
    let rows = rows(PAGES, &Options { only, ..Options::default() });
    assert!(rows[0].contains(": md5 ") && rows[1].contains("FILTERED_OUT"), "{rows:#?}");
    assert_eq!(rows.iter().filter(|row| row.ends_with("withdrawn")).count(), 3);
}

#[test]
fn a_withdrawal_needs_no_readable_time_and_a_listing_does() {
    let record = |status: &str| {
        format!(
            r#"{{"lastModtimestamp": "soon", "signalType": "videomd5", "hashValue": "AB", "hashStatus": "{status}"}}"#
        )
    };
    assert_eq!(one(&record("Withdrawn")), ["1 VideoMD5/ab: withdrawn"]);
    assert_eq!(one(&record("Active")), ["1: MALFORMED"]);
}

#[test]
fn records_that_cannot_be_understood_are_set_aside() {
    for record in [
        "1",
        "null",
        "[{}]",
        "{}",
        r#"{"signalType": "VideoMD5", "hashValue": "ab"}"#,
        r#"{"signalType": "VideoMD5", "hashValue": null, "hashStatus": "Withdrawn"}"#,
        r#"{"signalType": "VideoMD5", "hashValue": "ab", "hashStatus": "Active", "hashStatus": "Withdrawn"}"#,
        r#"{"signalType": "VideoMD5", "hashValue": "\ud800", "hashStatus": "Active"}"#,
    ] {
        assert_eq!(one(record), ["1: MALFORMED"], "{record}");
    }
}

#[test]
fn what_is_not_a_page_is_refused() {
    let options = Options { format: Some(Format::Stopncii), ..Options::default() };
    for (input, why) in [
        (r#"{"statusCode": 401, "message": "no"}"#, "row 1 at byte 36: a page has no hashRecords"),
        (r#"{"hashRecords": {}}"#, "row 1 at byte 18: hashRecords is not an array"),
        (r#"{"hashRecords": [], "HashRecords": []}"#, "row 1 at byte 34: a page has hashRecords twice"),
        (r#"{"hashRecords": []} []"#, "row 1 at byte 20: a page is not an object"),
        (r#"{"hashRecords": [{}}"#, "row 2 at byte 19: neither a comma nor an end behind a value"),
        (r#"{"hashRecords": [{},]}"#, "row 2 at byte 20: a value is missing"),
        (r#"{"hashRecords": [{} {}]}"#, "row 2 at byte 20: neither a comma nor an end behind a value"),
        (r#"{"hashRecords": [{"a" 1}]}"#, "row 1 at byte 17: a name without a value"),
        (r#"{"count": 01}"#, "row 1 at byte 9: a number with leading zeros"),
    ] {
        assert_eq!(refused(input.as_bytes(), &options), format!("LIST_BROKEN: the list is broken at {why}"));
    }
    let blanks = " ".repeat(70_000);
    assert!(refused(blanks.as_bytes(), &options).ends_with("row 1 at byte 70000: a page is not an object"));
    assert!(rows(br#"{"hashRecords": null} {"hashRecords": []}"#, &options).is_empty());
}

#[test]
fn a_reader_that_fails_ends_the_rows_with_its_error() {
    let at = PAGES.windows(10).position(|window| window == b"\"ImagePDQ\"").unwrap() + 5;
    let (read, error) =
        fails_behind(&PAGES[..at], " ", &Options { format: Some(Format::Stopncii), ..Options::default() });
    assert_eq!((read, error), (2, "LIST_READ: cannot read the list behind row 3 at byte 66272".into()));
}
