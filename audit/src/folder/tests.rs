//! Tests of a log's folder: rounds of a keeper, kills between its writes, and disks that rot.

use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;
use veilmatch_protocol::merkle::{leaf_hash, root};

use super::*;
use crate::tree::root_at;

/// A log with one keeper. Its leaves, and the head that it signed last, are elsewhere and durable.
struct Keeper {
    _temp: TempDir,
    folder: LogFolder,
    head: (u64, Hash),
}

fn leaf(n: u64) -> Vec<u8> {
    format!("leaf {n}").into_bytes()
}

fn root_of(size: u64) -> Hash {
    root((0..size).map(|n| leaf_hash(&leaf(n))))
}

fn leaves(range: Range<u64>) -> io::Result<Vec<Vec<u8>>> {
    Ok(range.map(leaf).collect())
}

fn note(size: u64, root: Hash) -> String {
    let text = Checkpoint { origin: "log.example/a".to_owned(), size, root }.text();
    format!("{text}\n\u{2014} log.example/a AAAAAAA=\n")
}

fn cause(error: io::Error) -> Option<Error> {
    error.get_ref()?.downcast_ref().copied()
}

impl Keeper {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let folder = LogFolder::create(temp.path().join("logs/a")).unwrap();
        Self { _temp: temp, folder, head: (0, root_of(0)) }
    }

    /// Signs a tree of this size: its files are to be written still.
    fn sign(&mut self, size: u64) -> Vec<File> {
        let mut growth = self.folder.resume(self.head.0, &self.head.1).unwrap();
        for n in growth.size()..size {
            growth.push(&leaf(n)).unwrap();
        }
        self.head = (size, growth.root());
        growth.take_files()
    }

    fn round(&mut self, size: u64) {
        let files = self.sign(size);
        self.folder.write(&files).unwrap();
        self.publish();
    }

    fn publish(&self) {
        self.folder.publish(note(self.head.0, self.head.1).as_bytes()).unwrap();
    }

    fn restore(&self) -> io::Result<Growth> {
        self.folder.restore(self.head.0, &self.head.1, leaves)
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.dir().join(path)
    }

    /// Every file of the tree is there and right.
    fn check(&self) {
        let (size, root) = self.head;
        assert_eq!(root, root_of(size));
        let view = self.folder.view(size);
        assert_eq!(root_at(&view, size).unwrap(), root);
        let read: Vec<_> = view.leaves(0..size).map(|leaf| leaf.unwrap().1).collect();
        assert_eq!(read, leaves(0..size).unwrap());
        let mut growth = Growth::new();
        for leaf in &read {
            growth.push(leaf).unwrap();
        }
        for file in growth.take_files() {
            assert_eq!(fs::read(self.path(&file.path.to_string())).unwrap(), file.bytes, "{}", file.path);
        }
    }
}

#[test]
fn a_keepers_rounds_leave_all_files_of_every_size() {
    // SPEC §17.3
    let mut keeper = Keeper::new();
    let sizes = [0, 1, 1, 255, 256, 257, 700, 1_100];
    for size in sizes {
        keeper.round(size);
        keeper.check();
        assert_eq!(keeper.folder.checkpoint().unwrap().unwrap(), note(size, root_of(size)).as_bytes());
    }
    for size in sizes {
        assert_eq!(root_at(&keeper.folder.view(size), size).unwrap(), root_of(size), "{size}");
    }
    assert!(!keeper.path("tile/0/005").exists());
    let mode = |path| fs::metadata(keeper.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("tile/entries/000"), mode("checkpoint")), (0o600, 0o600));
}

#[test]
fn a_kill_between_any_two_writes_is_repaired_from_the_leaves() {
    // SPEC §17.4: the head is replaced first, then come the tiles, and the checkpoint last.
    for (from, to) in [(0, 3), (250, 600), (255, 256), (511, 513)] {
        let mut straight = Keeper::new();
        straight.round(from);
        let writes = straight.sign(to).len();
        for killed_after in 0..=writes {
            let mut keeper = Keeper::new();
            keeper.round(from);
            let files = keeper.sign(to);
            keeper.folder.write(&files[..killed_after]).unwrap();
            // The write that was killed leaves a draft, and a folder for a file that never came.
            fs::write(keeper.path(DRAFTS).join("half"), "ha").unwrap();
            fs::create_dir_all(keeper.path("tile/entries/001.p")).unwrap();
            assert_eq!(keeper.folder.checkpoint().unwrap().unwrap(), note(from, root_of(from)).as_bytes());

            keeper.folder = LogFolder::create(keeper.folder.dir()).unwrap();
            assert_eq!(keeper.restore().unwrap().size(), to);
            keeper.check();
            assert!(!keeper.path(DRAFTS).join("half").exists());
            keeper.publish();
            keeper.round(to + 300);
            keeper.check();
        }
    }
}

#[test]
fn a_file_that_is_missing_or_short_is_made_again() {
    // SPEC §17.3
    for path in
        ["tile/0/000", "tile/0/001", "tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88"]
    {
        for spoil in [|path: &Path| fs::remove_file(path).unwrap(), |path: &Path| fs::write(path, [0; 31]).unwrap()] {
            let mut keeper = Keeper::new();
            keeper.round(600);
            spoil(&keeper.path(path));
            assert_eq!(keeper.restore().unwrap().root(), root_of(600), "{path}");
            keeper.check();
        }
    }
}

#[test]
fn a_flipped_bit_of_the_right_edge_is_found_before_signing_and_repaired() {
    // SPEC §17.4
    for path in ["tile/0/002.p/88", "tile/1/000.p/2", "tile/entries/002.p/88"] {
        let mut keeper = Keeper::new();
        keeper.round(600);
        let mut bytes = fs::read(keeper.path(path)).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        fs::write(keeper.path(path), bytes).unwrap();
        let refused = keeper.folder.resume(600, &root_of(600)).unwrap_err();
        assert_eq!(cause(refused), Some(Error::BadTile), "{path}");
        keeper.restore().unwrap();
        keeper.check();
    }
}

#[test]
fn a_head_behind_what_was_published_is_refused() {
    // SPEC §17.7
    let mut keeper = Keeper::new();
    keeper.round(300);
    keeper.head = (200, root_of(200));
    assert_eq!(cause(keeper.restore().unwrap_err()), Some(Error::LogAhead));
}

#[test]
fn leaves_that_do_not_make_the_signed_root_are_refused() {
    // SPEC §17.4
    let mut keeper = Keeper::new();
    keeper.round(300);
    keeper.head = (400, root_of(401));
    assert_eq!(cause(keeper.restore().unwrap_err()), Some(Error::BadTile));
    let too_few = |range: Range<u64>| leaves(range.start..range.end - 1);
    let refused = keeper.folder.restore(400, &root_of(400), too_few).unwrap_err();
    assert_eq!(cause(refused), Some(Error::NotInTree));
}

#[test]
fn a_file_that_is_too_long_is_refused_and_not_read_to_its_end() {
    let mut keeper = Keeper::new();
    keeper.round(3);
    let huge = fs::File::create(keeper.path("tile/0/000.p/3")).unwrap();
    huge.set_len(1 << 40).unwrap();
    assert_eq!(cause(keeper.folder.view(3).hashes(0, 0).unwrap_err()), Some(Error::BadTile));
    assert_eq!(keeper.folder.read("tile/0/000.p/3", 96).unwrap().unwrap().len(), 97);
}

#[test]
fn a_folder_that_is_not_there_has_no_checkpoint() {
    let temp = TempDir::new().unwrap();
    let folder = LogFolder::new(temp.path().join("none"));
    assert_eq!(folder.checkpoint().unwrap(), None);
    assert!(folder.view(1).hashes(0, 0).is_err());
    assert!(!folder.dir().exists());
}
