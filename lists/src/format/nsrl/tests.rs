use crate::rows::shape::{as_format, keep, listing, read, told};
use crate::{Format, Options, Rows};

const FILE: &[u8] = include_bytes!("../../../samples/nsrl/NSRLFile.txt");

#[test]
fn a_set_of_known_files_gives_sha1_and_md5() {
    assert_eq!(Rows::open(FILE, &keep()).unwrap().format(), Format::Nsrl);
    let expected = ["2: sha1#1 md5#1", "3: sha1#2 md5#2", "4: EMPTY_FILE_DIGEST EMPTY_FILE_DIGEST", "5: sha1#3"];
    assert_eq!(told(&read(FILE, &keep())), expected);
}

#[test]
fn names_are_bytes_and_held_only_when_asked_for() {
    let rows = read(FILE, &keep());
    assert_eq!(listing(&rows[1]).name.as_deref(), Some(&b"caf\xe9, \"old\".txt"[..]));
    assert!(read(FILE, &Options::default()).iter().all(|row| listing(row).name.is_none()));
}

#[test]
fn conditions_are_on_any_column() {
    let options = Options { only: vec!["SpecialCode=M".parse().unwrap()], ..keep() };
    let told = told(&read(FILE, &options));
    assert_eq!((told[0].as_str(), told[3].as_str()), ("2: FILTERED_OUT FILTERED_OUT", "5: sha1#3"));
}

#[test]
fn a_file_without_its_columns_is_refused() {
    let error = Rows::open(&b"\"SHA-1\",\"MD5\"\n"[..], &as_format(Format::Nsrl)).unwrap_err();
    assert_eq!(error.to_string(), "the format nsrl has no field CRC32");
}
