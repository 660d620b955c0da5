use std::io::{BufReader, Read, repeat};

use crate::format::said::{fails_behind, refused, rows, said};
use crate::{Format, Options, Rows};

const PAGES: &[u8] = include_bytes!("../../../samples/ncmec/pages.xml");

fn ncmec() -> Options {
    Options { format: Some(Format::Ncmec), ..Options::default() }
}

/// A page with these images.
fn page(images: &str) -> Vec<u8> {
    format!("<queryResult><images>{images}</images></queryResult>").into_bytes()
}

fn image(children: &str) -> String {
    format!("<image><member id=\"1\"/><id>2</id><timestamp>1970-01-01T00:00:03Z</timestamp>{children}</image>")
}

fn one(images: &str) -> Vec<String> {
    rows(&page(images), &ncmec())
}

fn broken(input: impl AsRef<[u8]>) -> String {
    let refused = refused(input.as_ref(), &ncmec());
    refused.strip_prefix("LIST_BROKEN: the list is broken at ").unwrap_or(&refused).to_owned()
}

#[test]
fn pages_are_read_with_their_deletions() {
    assert_eq!(Rows::open(PAGES, &Options::default()).unwrap().format(), Format::Ncmec);
    let expected = [
        "1 42/image1 @1714564800: md5 a93f7832 sha1 4d9d6a80 UNSUPPORTED_KIND UNSUPPORTED_KIND ncmec:A1",
        "2 43/image2 @1714561200: md5 941e7c05",
        "3 43/image3 @1714565400: withdrawn",
        "4 42/image4 @1714566000: NO_DIGEST",
        "5: MALFORMED",
        "6: MALFORMED",
        "7 42/video1 @1714567200: CONSTANT_DIGEST EMPTY_FILE_DIGEST UNSUPPORTED_KIND UNSUPPORTED_KIND UNSUPPORTED_KIND \
         BAD_HEX ncmec:B2",
        "8 42/video2: withdrawn",
        "9: MALFORMED",
        "10 42/video2 @1714428000: sha1 57f9d278",
    ];
    assert_eq!(rows(PAGES, &Options::default()), expected);
}

#[test]
fn a_row_stands_where_its_tag_begins() {
    let with_mark = [b"\xef\xbb\xbf", PAGES].concat();
    for pages in [PAGES, &with_mark] {
        for row in Rows::open(pages, &ncmec()).unwrap() {
            assert_eq!(pages[usize::try_from(row.unwrap().place.offset).unwrap()], b'<');
        }
    }
}

#[test]
fn conditions_are_on_class_and_member_and_keep_no_deletion_out() {
    let options = Options { only: vec!["Classification=A1".parse().unwrap()], ..ncmec() };
    let read = rows(PAGES, &options);
    assert!(read[0].contains(" md5 ") && read[1].contains("FILTERED_OUT"), "{read:#?}");
    assert_eq!(read.iter().filter(|row| row.ends_with("withdrawn")).count(), 2);
    let options = Options { only: vec!["member=43".parse().unwrap()], ..ncmec() };
    assert!(rows(PAGES, &options)[1].contains(" md5 "));
}

#[test]
fn entries_that_cannot_be_understood_are_set_aside() {
    for entry in [
        "<image/>",
        "<image><member id=\"1\"/><timestamp>1970-01-01</timestamp></image>",
        "<image><member/><id>2</id><timestamp>1970-01-01</timestamp></image>",
        "<image><member id=\"1/2\"/><id>2</id><timestamp>1970-01-01</timestamp></image>",
        "<image><member id=\"1\"/><id>2</id></image>",
        "<image><member id=\"1\"/><id>2</id><timestamp>soon</timestamp></image>",
        "<deletedImage><id>2</id></deletedImage>",
        "<deletedimage><member id=\"1\"/><id>2</id></deletedimage>",
        &image("<id>2</id>"),
        &image("<classification>A 1</classification>"),
    ] {
        assert_eq!(one(entry), ["1: MALFORMED"], "{entry}");
    }
    assert_eq!(one(&image("<name>x</name>")), ["1 1/2 @3: NO_DIGEST"]);
    assert_eq!(one("<deletedImage><member id=\"1\"/><id>2</id></deletedImage>"), ["1 1/2: withdrawn"]);
}

#[test]
fn a_count_that_differs_from_what_is_there_is_refused() {
    let page = |count: &str| format!("<queryResult><images count=\"{count}\">{}</images></queryResult>", image(""));
    assert_eq!(rows(page("1").as_bytes(), &ncmec()).len(), 1);
    assert!(broken(page("2")).ends_with(": a page says that it has 2 entries and has 1"));
    assert!(broken(page("0")).ends_with(": a page says that it has 0 entries and has 1"));
    assert!(broken(page("many")).ends_with(": a count is no number"));
}

#[test]
fn what_is_not_a_page_is_refused() {
    for (input, why) in [
        ("<status/>", "row 1 at byte 0: the document is no queryResult"),
        ("<queryResult/><status/>", "row 1 at byte 14: the document is no queryResult"),
        ("<!-- nothing -->", "row 1 at byte 16: there is no document"),
        ("<queryResult/>end", "row 1 at byte 14: a text stands outside of the document"),
        ("<queryResult/>&amp;", "row 1 at byte 14: a text stands outside of the document"),
        ("<queryResult></images>", "row 1 at byte 13: an end without its begin"),
        ("</queryResult>", "row 1 at byte 0: an end without its begin"),
        ("<queryResult><images>x</images></queryResult>", "row 1 at byte 21: a text stands between entries"),
        (
            "<queryResult><?xml version=\"1.0\"?></queryResult>",
            "row 1 at byte 13: a document begins within another one",
        ),
        ("<?xml version=\"1.0\" encoding=\"UTF-16\"?><queryResult/>", "row 1 at byte 0: the encoding is not UTF-8"),
        ("<!DOCTYPE queryResult [<!ENTITY a \"a\">]><queryResult/>", "row 1 at byte 0: a document type is declared"),
        ("<!DOCTYPE queryResult SYSTEM \"a\"><queryResult/>", "row 1 at byte 0: a document type is declared"),
        ("<queryResult>&a;</queryResult>", "row 1 at byte 13: an entity that XML does not have"),
        ("<queryResult a=\"&a;\"/>", "row 1 at byte 0: an attribute has an entity that XML does not have"),
        ("<queryResult a=\"\" a=\"\"/>", "row 1 at byte 0: an attribute is not well-formed"),
    ] {
        assert_eq!(broken(input), why, "{input}");
    }
    assert_eq!(broken(b"<queryResult>\xff</queryResult>"), "row 1 at byte 13: the input is not UTF-8");
    let deep = ["<queryResult>", &"<a>".repeat(32), &"</a>".repeat(32), "</queryResult>"].concat();
    assert!(broken(deep).ends_with(": elements nest too deep"));
}

#[test]
fn a_page_that_is_cut_is_refused_wherever_it_is_cut() {
    let page = PAGES.windows(14).position(|window| window == b"</queryResult>").unwrap() + 14;
    for cut in 56..page {
        let error = said(&PAGES[..cut], &ncmec()).1.unwrap_or_else(|| panic!("{cut}"));
        assert_eq!(error.reason(), "LIST_BROKEN", "{cut}");
    }
}

#[test]
fn an_entry_that_is_too_long_is_set_aside_and_reading_goes_on() {
    let md5 = "<md5>4f</md5>".repeat(100_000);
    let long = image(&format!("<fingerprints>{md5}</fingerprints>"));
    let feedback = image(&"<feedback><a>b</a></feedback>".repeat(40_000));
    let read = one(&[long, image(""), feedback, image("")].concat());
    assert_eq!(read, ["1: LINE_TOO_LONG", "2 1/2 @3: NO_DIGEST", "3: LINE_TOO_LONG", "4 1/2 @3: NO_DIGEST"]);
}

#[test]
fn nothing_endless_is_held() {
    // What is read before the refusal is counted: a tag or text is refused long before an input of 1 GiB ends.
    for begin in [
        "<queryResult>",
        "<queryResult a=\"",
        "<queryResult><",
        "<queryResult><!--",
        "<queryResult><![CDATA[",
        "<queryResult><?",
        "<!DOCTYPE ",
        "<queryResult>&",
        "</",
    ] {
        let mut read = 0;
        let endless = BufReader::new(begin.as_bytes().chain(repeat(b'x').take(1 << 30)));
        let error =
            Rows::open(Counting { input: endless, read: &mut read }, &ncmec()).unwrap().next().unwrap().unwrap_err();
        assert_eq!(error.reason(), "LIST_BROKEN", "{begin}");
        assert!(read < 512 << 10, "{begin} {read}");
    }
}

struct Counting<'a, R> {
    input: R,
    read: &'a mut u64,
}

impl<R: std::io::BufRead> Read for Counting<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.input.read(buffer)?;
        *self.read += read as u64;
        Ok(read)
    }
}

impl<R: std::io::BufRead> std::io::BufRead for Counting<'_, R> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        self.input.fill_buf()
    }

    fn consume(&mut self, used: usize) {
        *self.read += used as u64;
        self.input.consume(used);
    }
}

#[test]
fn a_reader_that_fails_ends_the_rows_with_its_error() {
    let at = PAGES.windows(14).position(|window| window == b"<deletedImage>").unwrap() + 5;
    let (read, error) = fails_behind(&PAGES[..at], "<!---->", &ncmec());
    assert_eq!((read, error), (2, "LIST_READ: cannot read the list behind row 3 at byte 460342".into()));
}
