use crate::rows::shape::{as_format, keep, read, shape, told};
use crate::{Condition, Counts, Format, Options, Rows, Says};

const EXPORT: &[u8] = include_bytes!("../../../samples/icse/export.csv");

fn only(condition: &str) -> Options {
    Options { only: vec![condition.parse::<Condition>().unwrap()], ..keep() }
}

#[test]
fn an_export_is_read_with_keys_series_and_categories() {
    assert_eq!(Rows::open(EXPORT, &keep()).unwrap().format(), Format::Icse);
    let expected = [
        "2: [1001] md5#1 sha1#1 baseline:baseline \"Series A\"",
        "3: [1002] md5#1 sha1#1 baseline:baseline \"Series \\\"B\\\"; part 2\"",
        "4: [1003] md5#2 UNSUPPORTED_KIND icse:listed \"line one\\nline two\"",
        "6: [1004] sha1#3 UNSUPPORTED_KIND icse:listed",
        "7: [1005] UNSUPPORTED_KIND icse:listed",
        "8: [1006] NO_DIGEST icse:listed",
        "9: [1007] EMPTY_FILE_DIGEST EMPTY_FILE_DIGEST baseline:baseline",
        "10: [1008] md5#5 baseline:baseline",
        "11: MALFORMED",
        "12: md5#7 baseline:baseline \"Series A\"",
        "14: [1010] md5#8 WRONG_LENGTH icse:listed",
        "15: [1011] CONSTANT_DIGEST BAD_HEX icse:listed",
        "16: [1012] md5#9 icse:listed",
    ];
    assert_eq!(told(&read(EXPORT, &keep())), expected);
}

#[test]
fn baseline_is_the_export_under_a_condition() {
    let told = told(&read(EXPORT, &only("baseline=yes")));
    assert_eq!(told[1], "3: [1002] md5#1 sha1#1 baseline:baseline \"Series \\\"B\\\"; part 2\"");
    assert_eq!(told[2], "4: [1003] FILTERED_OUT FILTERED_OUT icse:listed \"line one\\nline two\"");
    assert_eq!(told[5], "8: [1006] FILTERED_OUT icse:listed");
    assert_eq!(told[8], "11: MALFORMED");
    assert_eq!(told[12], "16: [1012] FILTERED_OUT icse:listed");
}

#[test]
fn conditions_are_on_any_column_of_the_header() {
    let taken = |condition| {
        let rows = read(EXPORT, &only(condition));
        shape(&rows).into_iter().filter(|row| !row.1.contains("FILTERED_OUT")).map(|row| row.0).collect::<Vec<_>>()
    };
    assert_eq!(taken("Media Type=video"), [6, 11]);
    assert_eq!(taken("Is Distributed=yes"), [2, 3, 6, 11]);
    assert_eq!(taken("Series name=series a,"), [2, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16]);
    let error = Rows::open(EXPORT, &only("Category=1")).unwrap_err();
    assert_eq!(error.to_string(), "the format icse has no field Category");
}

#[test]
fn an_object_of_two_images_is_counted_twice_and_taken_once() {
    let mut rows = Rows::open(EXPORT, &keep()).unwrap();
    let (mut counts, mut held) = (Counts::default(), std::collections::BTreeSet::new());
    for row in &mut rows {
        let Says::Listed(listing) = row.unwrap().says else { panic!("ICSE withdraws nothing") };
        for digest in listing.digests {
            match digest {
                Ok(item) if held.insert((item.kind(), item.digest().to_vec())) => counts.accepted += 1,
                Ok(_) => counts.duplicate += 1,
                Err(reason) => counts.quarantine(reason),
            }
        }
    }
    let closed = counts.close(rows.read()).unwrap().to_string();
    assert_eq!(closed, "read 20 = accepted 8 + duplicate 2 + retracted 0 + quarantined 10");
}

#[test]
fn a_missing_quote_costs_the_lines_that_it_hides_and_is_told() {
    let input = &include_bytes!("../../../samples/icse/missing_quote.csv")[..];
    let told = told(&read(input, &keep()));
    assert_eq!(told, ["2: MALFORMED", "4: [3] md5#3 baseline:baseline \"Series C\""]);
}

#[test]
fn a_quote_that_nothing_closes_breaks_the_list_where_it_stands() {
    let input = &include_bytes!("../../../samples/icse/unclosed_quote.csv")[..];
    let mut rows = Rows::open(input, &keep()).unwrap();
    assert!(rows.next().unwrap().is_ok());
    let error = rows.next().unwrap().unwrap_err();
    assert_eq!(error.reason(), "LIST_BROKEN");
    let quote = input.iter().position(|byte| *byte == b'"').unwrap();
    assert!(error.to_string().contains(&format!("row 3 at byte {quote}:")), "{error}");
    assert!(rows.next().is_none());
}

#[test]
fn an_export_with_two_columns_of_one_name_is_refused() {
    let text = std::str::from_utf8(EXPORT).unwrap().replacen("SHA256", "baseline", 1);
    let error = Rows::open(text.as_bytes(), &keep()).unwrap_err();
    assert!(error.to_string().ends_with("the header has a column twice that is read"), "{error}");
}

#[test]
fn a_table_without_all_twelve_columns_is_another_one() {
    let text = std::str::from_utf8(EXPORT).unwrap().replace("Media Type", "Medium");
    assert_eq!(Rows::open(text.as_bytes(), &keep()).unwrap().format(), Format::Csv);
    let error = Rows::open(text.as_bytes(), &as_format(Format::Icse)).unwrap_err();
    assert_eq!(error.to_string(), "the format icse has no field Media Type");
}
