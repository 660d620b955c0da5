use std::io::{Read, repeat};

use crate::format::said::{fails_behind, refused, rows, said};
use crate::{Format, Options, Rows};

const MEDIA: &[u8] = include_bytes!("../../../samples/vics/media-2.0-us.json");
const OLD: &[u8] = include_bytes!("../../../samples/vics/media-1.2.json");
const CASES: &[u8] = include_bytes!("../../../samples/vics/cases-2.0-uk.json");
const PROFILE_LAST: &[u8] = include_bytes!("../../../samples/vics/profile-last-1.3.json");

fn vics(scheme: Option<&str>) -> Options {
    Options { format: Some(Format::Vics), scheme: scheme.map(Into::into), ..Options::default() }
}

/// A file with this beside its rows.
fn file(profile: &str, media: &str) -> Vec<u8> {
    format!(
        r#"{{"@odata.context": "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/{profile}/$metadata#Media",
            "value": [{media}]}}"#
    )
    .into_bytes()
}

fn one(media: &str) -> Vec<String> {
    rows(&file("Default", media), &Options::default())
}

#[test]
fn media_are_read_with_all_their_digests() {
    let expected = [
        "1 1: md5 d0a6bc1a sha1 109ba0ab vics-us:1 (a series)",
        "2 2: md5 2731d146 vics-us:2",
        "3 3: sha1 b86ede92 sha256 c2577d1f UNSUPPORTED_KIND UNSUPPORTED_KIND",
        "4 4: md5 c897e598 UNSUPPORTED_KIND",
        "5 5: NO_DIGEST vics-us:1",
        "6 6: EMPTY_FILE_DIGEST CONSTANT_DIGEST vics-us:0",
        "7 7: WRONG_LENGTH BAD_HEX vics-us:1",
        "8: MALFORMED",
        "9: md5 d5a35fb6 vics-us:1",
    ];
    assert_eq!(rows(MEDIA, &Options::default()), expected);
}

#[test]
fn members_are_found_whatever_their_case_and_order() {
    let expected = ["1 1: md5 37773ed3 sha1 40c784d5 vics-default:1", "2 2: md5 ad4c1d05 vics-default:2"];
    assert_eq!(rows(OLD, &Options::default()), expected);
}

#[test]
fn cases_hold_media() {
    let expected = [
        "1 21: md5 fe1f41b9 vics-uk:1",
        "2 22: sha1 9d6750fb vics-uk:3",
        "3 23: md5 09538bbb vics-uk:2",
        "4: NO_DIGEST",
    ];
    assert_eq!(rows(CASES, &Options::default()), expected);
}

#[test]
fn files_are_recognised_by_their_metadata_or_their_first_medium() {
    for file in [MEDIA, OLD, CASES, PROFILE_LAST] {
        assert_eq!(Rows::open(file, &Options::default()).unwrap().format(), Format::Vics);
    }
    for other in ["{\"value\": []}", "{\"MediaID\": 1}", "{\"value\": [{\"id\": 1}]}", "{}", "{", "[]"] {
        assert_eq!(refused(other.as_bytes(), &Options::default())[..20], *"UNKNOWN_LIST_FORMAT:", "{other}");
    }
}

#[test]
fn every_profile_is_a_scheme() {
    for (profile, scheme) in
        [("Default", "vics-default"), ("us", "vics-us"), ("UK", "vics-uk"), ("CUSTOM", "vics-custom")]
    {
        let rows = rows(&file(profile, r#"{"MediaID": 1, "Category": 2}"#), &Options::default());
        assert_eq!(rows, [format!("1 1: NO_DIGEST {scheme}:2")]);
    }
}

#[test]
fn a_profile_behind_the_rows_is_found_if_it_is_near() {
    let rows = rows(PROFILE_LAST, &Options::default());
    assert!(rows[0].ends_with(" vics-default:4"), "{rows:?}");
}

#[test]
fn a_profile_far_behind_the_rows_is_asked_for() {
    let medium = r#"{"MediaID": 1, "Comments": "a comment that makes it long"}"#;
    let media = [medium; 20_000].join(",");
    let far = |category: &str| {
        let context = "http://github.com/VICSDATAMODEL/ProjectVic/DataModels/2.0.xml/UK/$metadata#Media";
        format!(r#"{{"value": [{media}, {{"Category": {category}}}], "@odata.context": "{context}"}}"#).into_bytes()
    };
    let (read, error) = said(&far("1"), &vics(None));
    assert_eq!(read.len(), 20_000);
    assert_eq!(error.unwrap().reason(), "LIST_NO_PROFILE");
    assert!(rows(&far("1"), &vics(Some("vics-uk"))).last().unwrap().ends_with(" vics-uk:1"));
    assert_eq!(rows(&far("null"), &vics(None)).len(), 20_001);
    assert!(refused(&far("1"), &vics(Some("vics-us"))).ends_with("the file names another profile than --scheme"));
}

#[test]
fn an_unknown_profile_is_asked_for() {
    let input = file("FR", r#"{"MediaID": 1, "Category": 2}"#);
    assert!(refused(&input, &vics(None)).starts_with("LIST_NO_PROFILE: the list does not say before row 1 at byte "));
    assert_eq!(rows(&input, &vics(Some("vics-custom"))), ["1 1: NO_DIGEST vics-custom:2"]);
}

#[test]
fn the_file_has_the_first_word_on_its_profile() {
    assert!(rows(CASES, &vics(Some("custom")))[0].contains(" vics-uk:1"));
}

#[test]
fn conditions_are_on_members_and_booleans_may_be_text() {
    let taken = |condition: &str| -> Vec<u64> {
        let options = Options { only: vec![condition.parse().unwrap()], ..Options::default() };
        let rows = rows(MEDIA, &options).into_iter().filter(|row| !row.contains("FILTERED_OUT"));
        rows.map(|row| row[..1].parse().unwrap()).collect()
    };
    assert_eq!(taken("Category=1,2"), [1, 2, 5, 7, 8, 9]);
    assert_eq!(taken("category=0"), [6, 8]);
    assert_eq!(taken("VictimIdentified=yes"), [1, 2, 8]);
    assert_eq!(taken("isprecategorized=true"), [2, 8]);
    assert_eq!(taken("Series=A Series"), [1, 8]);
    let options = Options { only: vec!["FileName=x".parse().unwrap()], ..Options::default() };
    assert_eq!(refused(MEDIA, &options), "LIST_NO_FIELD: the format vics has no field FileName");
}

#[test]
fn media_that_cannot_be_understood_are_set_aside() {
    for medium in [
        "1",
        "null",
        "[]",
        r#"{"MD5": "", "md5": ""}"#,
        r#"{"AlternativeHashes": [], "AlternativeHashes": []}"#,
        r#"{"MediaID": {}}"#,
        r#"{"Category": 1.5}"#,
        r#"{"Category": true}"#,
        r#"{"Series": []}"#,
        r#"{"MediaID": "\udc00"}"#,
        r#"{"MD5": []}"#,
        r#"{"AlternativeHashes": ""}"#,
        r#"{"AlternativeHashes": [1]}"#,
        r#"{"AlternativeHashes": [{"HashName": [], "HashValue": "4f"}]}"#,
    ] {
        assert_eq!(one(medium), ["1: MALFORMED"], "{medium}");
    }
}

#[test]
fn what_is_not_asked_for_may_stand_twice() {
    let medium = r#"{"MediaID": 1, "MimeType": "a", "MimeType": "b", "Comments": {}}"#;
    assert_eq!(one(medium), ["1 1: NO_DIGEST"]);
    let options = Options { only: vec!["MimeType=a".parse().unwrap()], ..Options::default() };
    assert_eq!(rows(&file("US", medium), &options), ["1: MALFORMED"]);
}

#[test]
fn what_is_not_a_vics_file_is_refused() {
    for (input, why) in [
        ("[]", "row 1 at byte 0: a VICS file is an object"),
        ("{}", "row 1 at byte 2: there is no value"),
        (r#"{"value": {}}"#, "row 1 at byte 10: value is not an array"),
        (r#"{"value": [], "Value": []}"#, "row 1 at byte 22: value is there twice"),
        (r#"{"value": []} {}"#, "row 1 at byte 14: something follows the list"),
        (r#"{"value": [{}}"#, "row 2 at byte 13: neither a comma nor an end behind a value"),
        (r#"{"value": [{},]}"#, "row 2 at byte 14: a value is missing"),
        (r#"{"value": [{}{}]}"#, "row 2 at byte 13: neither a comma nor an end behind a value"),
        (r#"{"value": [{}, garbage]}"#, "row 2 at byte 15: a value is missing"),
        (r#"{"value": [{"Exifs": tru}]}"#, "row 1 at byte 11: an unknown word"),
        (r#"{"value": [], }"#, "row 1 at byte 13: a text is missing"),
        (r#"{"a": nul, "value": []}"#, "row 1 at byte 5: an unknown word"),
    ] {
        assert_eq!(refused(input.as_bytes(), &vics(None)), format!("LIST_BROKEN: the list is broken at {why}"));
    }
    let deep = format!(r#"{{"Exifs": {}{}}}"#, "[".repeat(128), "]".repeat(128));
    assert!(refused(&file("US", &deep), &vics(None)).ends_with(": values nest too deep"));
    let deep = format!(r#"{{"a": {}1{}, "value": []}}"#, r#"{"a":"#.repeat(129), "}".repeat(129));
    assert!(refused(deep.as_bytes(), &vics(None)).ends_with(": values nest too deep"));
}

#[test]
fn a_file_that_is_cut_is_refused_wherever_it_is_cut() {
    for file in [MEDIA, OLD, CASES, PROFILE_LAST] {
        let end = file.trim_ascii_end().len();
        for cut in 4..end {
            let reason = said(&file[..cut], &vics(None)).1.unwrap().reason();
            assert!(["LIST_BROKEN", "LIST_NO_PROFILE"].contains(&reason), "{reason} at {cut}");
        }
    }
}

#[test]
fn a_medium_that_is_too_long_is_set_aside_and_reading_goes_on() {
    let long = format!(r#"{{"MediaID": 1, "Exifs": ["{}"]}}"#, "}\\\"".repeat(1 << 20));
    let media = format!(r#"{long}, {{"MediaID": 2}}"#);
    assert_eq!(one(&media), ["1: LINE_TOO_LONG", "2 2: NO_DIGEST"]);
}

#[test]
fn endless_media_do_not_fill_the_memory() {
    let medium = br#"{"MediaID": 1, "Category": 1, "MD5": "#;
    let begin = file("US", "");
    let begin = &begin[..begin.len() - 2];
    // A text of 256 MiB: what is held of it would be seen by the limit that Window's tests check.
    let input = begin.chain(&medium[..]).chain(&b"\""[..]).chain(repeat(b'x').take(256 << 20));
    let rows: Vec<_> = Rows::open(std::io::BufReader::new(input), &vics(None)).unwrap().collect();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].as_ref().unwrap_err().reason(), "LIST_BROKEN");
}

#[test]
fn a_reader_that_fails_ends_the_rows_with_its_error() {
    let at = OLD.windows(10).position(|window| window == b"{\"MediaID\"").unwrap() + 5;
    let (read, error) = fails_behind(&OLD[..at], " ", &vics(None));
    assert_eq!((read, error), (1, "LIST_READ: cannot read the list behind row 2 at byte 65754".into()));
}
