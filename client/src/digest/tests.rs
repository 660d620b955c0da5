use std::{
    fs,
    io::{Seek, Write},
    os::unix::{fs::symlink, net::UnixListener},
    path::PathBuf,
};

use super::*;

fn hex_of(path: &Path) -> Vec<String> {
    let items = Digester::new(&Kind::ALL).file(path, Links::Refuse).unwrap();
    items.iter().map(|item| format!("{} {}", item.kind().name(), hex::encode(item.digest()))).collect()
}

fn reason(path: &Path) -> &'static str {
    Digester::new(&[Kind::Sha256]).file(path, Links::Refuse).unwrap_err().reason()
}

fn file(dir: &tempfile::TempDir, content: &[u8]) -> PathBuf {
    let path = dir.path().join("file");
    fs::write(&path, content).unwrap();
    path
}

#[test]
fn one_read_gives_every_kind() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(
        hex_of(&file(&dir, b"abc")),
        [
            "md5 900150983cd24fb0d6963f7d28e17f72",
            "sha1 a9993e364706816aba3e25717850c26c9cd0d89d",
            "sha256 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha512 ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ]
    );
}

#[test]
fn an_empty_file_has_digests() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(hex_of(&file(&dir, b""))[0], "md5 d41d8cd98f00b204e9800998ecf8427e");
}

#[test]
fn a_sparse_file_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, b"");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(3 * BUFFER_BYTES as u64 + 1).unwrap();
    let zeros = vec![0; 3 * BUFFER_BYTES + 1];
    let other = dir.path().join("other");
    fs::write(&other, zeros).unwrap();
    assert_eq!(hex_of(&path), hex_of(&other));
}

/// Zeros without end, and a witness of how much is asked for at a time.
struct Zeros {
    left: u64,
    widest: usize,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.widest = self.widest.max(buffer.len());
        let read = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= read as u64;
        Ok(read)
    }
}

#[test]
fn a_huge_file_is_read_a_buffer_at_a_time() {
    let mut zeros = Zeros { left: 256 << 20, widest: 0 };
    let mut digester = Digester::new(&[Kind::Md5]);
    digester.read(&mut zeros, 256 << 20).unwrap();
    assert_eq!((zeros.left, zeros.widest), (0, BUFFER_BYTES));
}

#[test]
fn a_file_that_grows_or_shrinks_while_it_is_read_has_changed() {
    let mut digester = Digester::new(&[Kind::Md5]);
    let mut endless = Zeros { left: u64::MAX, widest: 0 };
    assert_eq!(digester.read(&mut endless, 1_000).unwrap_err().reason(), "CHANGED");
    let mut short = Zeros { left: 999, widest: 0 };
    assert_eq!(digester.read(&mut short, 1_000).unwrap_err().reason(), "CHANGED");
}

#[test]
fn a_file_that_is_rewritten_in_place_is_in_another_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = file(&dir, b"abc");
    let before = fs::metadata(&path).unwrap();
    let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.rewind().unwrap();
    file.write_all(b"xyz").unwrap();
    file.set_modified(before.modified().unwrap() + std::time::Duration::from_nanos(10_000)).unwrap();
    assert_ne!(state(&before), state(&fs::metadata(&path).unwrap()));
}

#[test]
fn what_is_no_file_is_named_for_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let target = file(&dir, b"abc");
    assert_eq!(reason(&dir.path().join("absent")), "VANISHED");
    assert_eq!(reason(&target.join("below a file")), "VANISHED");
    assert_eq!(reason(dir.path()), "NOT_A_FILE");
    assert_eq!(reason(Path::new("/dev/null")), "NOT_A_FILE");

    let socket = dir.path().join("socket");
    let _listener = UnixListener::bind(&socket).unwrap();
    assert_eq!(reason(&socket), "NOT_A_FILE");

    let link = dir.path().join("link");
    symlink(&target, &link).unwrap();
    assert_eq!(reason(&link), "SYMLINK");
    assert!(Digester::new(&[Kind::Md5]).file(&link, Links::Follow).is_ok());
}

#[test]
fn a_pipe_is_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    assert_eq!(reason(&pipe), "NOT_A_FILE");
    // Even when it took a file's place after the first look.
    assert!(open(&pipe, Links::Refuse).is_ok());
}

#[test]
fn every_reason_is_in_the_table_in_order() {
    let all = [
        Unread::Vanished,
        Unread::Unreadable(io::Error::other("no")),
        Unread::NotAFile,
        Unread::Symlink,
        Unread::Changed,
    ];
    assert_eq!(all.each_ref().map(Unread::reason), Unread::REASONS.map(|(reason, _)| reason));
    assert_eq!(all[1].detail().as_deref(), Some("no"));
}
