use std::{os::unix::fs::symlink, os::unix::net::UnixListener};

use super::*;

/// A folder with these files; a name that ends with `/` is an empty folder.
fn tree(names: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for name in names {
        let path = dir.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    }
    dir
}

/// What a walk finds, below the root.
fn names(root: &Path, walk: Walk) -> Vec<String> {
    let below = |path: PathBuf| path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
    walk.map(|found| match found {
        Found::File(path, _) => below(path),
        Found::Unread(path, unread) => format!("{} {}", below(path), unread.reason()),
        Found::Own(path) => format!("{} own", below(path)),
    })
    .collect()
}

const TREE: [&str; 10] = ["a", "a-b", "a.d/x", "a.d/y/z", "a.d/y.", "b/", "b2/c/d/e", "b2/c/f", "c", "ä"];

#[test]
fn names_come_in_the_order_of_their_bytes() {
    let dir = tree(&TREE);
    let found = names(dir.path(), Walk::new(dir.path(), Vec::new()));
    assert_eq!(found, ["a", "a-b", "a.d/x", "a.d/y/z", "a.d/y.", "b2/c/d/e", "b2/c/f", "c", "ä"]);
}

#[test]
fn a_folder_larger_than_what_is_held_is_walked_in_the_same_order() {
    let dir = tree(&TREE);
    let whole = names(dir.path(), Walk::new(dir.path(), Vec::new()));
    for held in 1..6 {
        assert_eq!(names(dir.path(), Walk::start(dir.path(), Vec::new(), VecDeque::new(), held)), whole, "{held}");
    }
}

#[test]
fn a_walk_goes_on_after_any_path() {
    let dir = tree(&TREE);
    let whole = names(dir.path(), Walk::new(dir.path(), Vec::new()));
    for (at, name) in whole.iter().enumerate() {
        let rest = names(dir.path(), Walk::after(dir.path(), Vec::new(), &dir.path().join(name)));
        assert_eq!(rest, whole[at + 1..], "{name}");
    }
}

#[test]
fn a_walk_goes_on_where_the_last_path_is_gone() {
    let dir = tree(&TREE);
    let cursor = dir.path().join("a.d/y/z");
    fs::remove_dir_all(dir.path().join("a.d/y")).unwrap();
    assert_eq!(names(dir.path(), Walk::after(dir.path(), Vec::new(), &cursor))[0], "a.d/y.");
    fs::remove_dir_all(dir.path().join("a.d")).unwrap();
    assert_eq!(names(dir.path(), Walk::after(dir.path(), Vec::new(), &cursor))[0], "b2/c/d/e");
}

#[test]
fn a_file_as_root_is_all_there_is() {
    let dir = tree(&["a"]);
    let root = dir.path().join("a");
    let found: Vec<Found> = Walk::new(&root, Vec::new()).collect();
    assert!(matches!(&found[..], [Found::File(path, Links::Follow)] if *path == root));
    assert_eq!(Walk::after(&root, Vec::new(), &root).count(), 0);
}

#[test]
fn what_is_no_file_is_found_and_not_followed() {
    let dir = tree(&["a/file"]);
    symlink(dir.path(), dir.path().join("loop")).unwrap();
    let _listener = UnixListener::bind(dir.path().join("socket")).unwrap();
    let found = names(dir.path(), Walk::new(dir.path(), Vec::new()));
    assert_eq!(found, ["a/file", "loop SYMLINK", "socket NOT_A_FILE"]);
}

#[test]
fn a_root_that_is_not_there_is_found_as_vanished() {
    let dir = tree(&[]);
    let root = dir.path().join("absent");
    assert_eq!(names(&root, Walk::new(&root, Vec::new())), [" VANISHED"]);
}

#[test]
fn a_folder_that_vanishes_during_the_walk_is_found_as_vanished() {
    let dir = tree(&["a", "b/c", "d"]);
    let mut walk = Walk::new(dir.path(), Vec::new());
    walk.next().unwrap();
    fs::remove_dir_all(dir.path().join("b")).unwrap();
    assert_eq!(names(dir.path(), walk), ["b VANISHED", "d"]);
}

#[test]
fn our_own_files_and_folders_are_passed_over() {
    let dir = tree(&["a", "out", "state/db"]);
    fs::hard_link(dir.path().join("out"), dir.path().join("same")).unwrap();
    let own = ["out", "state"].map(|name| Identity::of(&dir.path().join(name)).unwrap());
    let found = names(dir.path(), Walk::new(dir.path(), own.to_vec()));
    assert_eq!(found, ["a", "out own", "same own", "state own"]);
}

#[test]
fn a_folder_that_cannot_be_listed_to_its_end_is_told_after_what_was_found_in_it() {
    let dir = tree(&["a/x", "b/y", "c"]);
    let mut walk = Walk::start(dir.path(), Vec::new(), VecDeque::new(), 1);
    assert!(matches!(walk.next(), Some(Found::File(path, _)) if path.ends_with("a/x")));
    // What is listed next, after `b`, is gone; `b` itself was listed and lies elsewhere now.
    let moved = dir.path().with_extension("moved");
    fs::rename(dir.path(), &moved).unwrap();
    let rest = names(dir.path(), walk);
    fs::rename(&moved, dir.path()).unwrap();
    assert_eq!(rest, ["b VANISHED", " VANISHED"]);
}
