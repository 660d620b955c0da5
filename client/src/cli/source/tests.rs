use std::{fs, io::Cursor};

use veilmatch_lists::{Names, Options};

use super::*;

async fn all(mut source: Source) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(next) = source.next().await {
        seen.push(next);
    }
    seen
}

fn lines(text: &str, kind: Option<Kind>, skip: u64) -> (Source, Arc<Mutex<LineCounts>>) {
    let options = Options { kind, names: Names::Keep, ..Options::default() };
    let rows = Rows::open(Cursor::new(text.as_bytes().to_vec()), &options).unwrap();
    Source::lines(rows, "list".into(), skip)
}

#[tokio::test]
async fn files_come_in_the_order_of_the_walk_whichever_thread_is_first() {
    let dir = tempfile::tempdir().unwrap();
    for name in 0..300 {
        // The earlier, the larger.
        fs::write(dir.path().join(format!("{name:03}")), vec![name as u8; (300 - name) * 100]).unwrap();
    }
    let source = Source::files(vec![Walk::new(dir.path(), Vec::new())], &[Kind::Sha256], Some(4));
    let seen = all(source).await;
    let names: Vec<PathBuf> = (0..300).map(|name| dir.path().join(format!("{name:03}"))).collect();
    let found: Vec<PathBuf> =
        seen.iter().map(|seen| if let Origin::Path(path) = &seen.origin { path.clone() } else { panic!() }).collect();
    assert_eq!(found, names);
    assert!(seen.iter().all(|seen| seen.whole && seen.read.as_ref().is_ok_and(|items| items.len() == 1)));
}

#[tokio::test]
async fn a_file_that_vanishes_during_the_walk_has_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        fs::create_dir(dir.path().join(name)).unwrap();
        fs::write(dir.path().join(name).join("file"), name).unwrap();
    }
    let mut walk = Walk::new(dir.path(), Vec::new()).collect::<Vec<_>>();
    assert_eq!(walk.len(), 2);
    fs::remove_file(dir.path().join("b/file")).unwrap();
    let Some(Found::File(path, links)) = walk.pop() else { panic!() };
    let unread = Digester::new(&[Kind::Md5]).file(&path, links).unwrap_err();
    assert_eq!(Missing::from(unread).reason, "VANISHED");
}

const SUMS: &str = "900150983cd24fb0d6963f7d28e17f72  one\nnot a digest\n900150983cd24fb0d6963f7d28e17f72  again\n";

#[tokio::test]
async fn every_line_is_seen_and_counted() {
    let (source, counts) = lines(SUMS, None, 0);
    let seen = all(source).await;
    let shown: Vec<String> = seen
        .iter()
        .map(|seen| match (&seen.origin, &seen.read) {
            (Origin::Line { number, name: Some(name), .. }, Ok(_)) => {
                format!("{number} {}", String::from_utf8_lossy(name))
            }
            (Origin::Line { number, .. }, Err(missing)) => format!("{number} {}", missing.reason),
            _ => panic!(),
        })
        .collect();
    assert_eq!(shown, ["1 one", "2 BAD_LINE", "3 again"]);
    let counts = counts.lock().unwrap();
    let closed = counts.counts.close(counts.read).unwrap();
    assert_eq!(closed.to_string(), "read 3 = accepted 1 + duplicate 1 + retracted 0 + quarantined 1");
    assert!(counts.ended);
}

#[tokio::test]
async fn lines_before_the_cursor_are_counted_and_not_seen() {
    let (source, counts) = lines(SUMS, None, 2);
    let seen = all(source).await;
    assert!(matches!(&seen[..], [Seen { origin: Origin::Line { number: 3, .. }, .. }]));
    assert_eq!(counts.lock().unwrap().read, 3);
}

#[tokio::test]
async fn the_digests_of_a_hashdeep_line_are_one_file() {
    let text = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## note\n\
                3,900150983cd24fb0d6963f7d28e17f72,ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad,/a,b\n";
    let seen = all(lines(text, None, 0).0).await;
    let [Seen { origin: Origin::Line { name, .. }, read: Ok(items), whole: true }] = &seen[..] else { panic!() };
    assert_eq!(items.iter().map(Item::kind).collect::<Vec<_>>(), [Kind::Md5, Kind::Sha256]);
    assert_eq!(name.as_deref(), Some(&b"/a,b"[..]));
}

#[test]
fn what_is_remembered_of_digests_is_bounded() {
    let mut seen = Remembered::default();
    let item = |n: u64| {
        let mut digest = [1; 16];
        digest[..8].copy_from_slice(&n.to_be_bytes());
        Item::new(Kind::Md5, &digest).unwrap()
    };
    for n in 0..REMEMBERED as u64 + 1_000 {
        assert!(!seen.again(&item(n)));
    }
    assert_eq!(seen.seen.len(), REMEMBERED);
    assert!(seen.again(&item(7)));
}
