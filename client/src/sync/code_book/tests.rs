use std::{fs, path::PathBuf, sync::Mutex};

use tonic::Status;
use veilmatch_protocol::{
    Error as ProtocolError,
    derive::Okm,
    name::{ListId, Version},
    note::Verifier,
};

use super::*;
use crate::{
    SyncReport,
    connection::Connection,
    fake::{self, CodeBooks},
    held::Held,
    label::Label,
};

/// A platform and a server of one version with a code book.
struct Home {
    own: fake::Home,
    connection: Connection,
    verifier: Verifier,
    list: ListId,
    answers: CodeBooks,
    published: (SignedManifest, Vec<u8>),
}

impl Home {
    /// Whose server gives these answers to who asks for the code book.
    async fn new(answers: Vec<Result<Vec<u8>, Status>>) -> Self {
        let own = fake::Home::new();
        let published = fake::coded(&[(&okm(), b"\0\0\x02\x01case")]);
        let answers: CodeBooks = Arc::new(Mutex::new(answers));
        let address = fake::with_code_books(published.clone(), Arc::clone(&answers)).await;
        let (connection, verifier, list) = (Connection::plain(&address), fake::verifier(), fake::list());
        Self { own, connection, verifier, list, answers, published }
    }

    fn answer(&self, answer: Result<Vec<u8>, Status>) {
        *self.answers.lock().unwrap() = vec![answer];
    }

    fn path(&self) -> PathBuf {
        self.own.dir.code_book(&fake::list(), &fake::code_book().digest())
    }

    fn syncer(&self, held: Option<Arc<Held>>) -> Sync<'_> {
        Sync {
            dir: &self.own.dir,
            store: &self.own.store,
            connection: &self.connection,
            verifier: &self.verifier,
            watch: &self.own.watch,
            log: &self.own.log,
            list: &self.list,
            held,
            progress: &|_| {},
        }
    }

    async fn sync(&self, held: Option<Arc<Held>>) -> Result<(Held, SyncReport), Error> {
        self.syncer(held).run().await
    }
}

fn okm() -> Okm {
    Okm::danger_from_bytes([3; 64])
}

fn good() -> Vec<u8> {
    fake::code_book().to_bytes()
}

/// The label of the one entry, as the version says it.
fn label(held: &Held) -> Label {
    held.label(held.look_ups().find(&okm()).unwrap().unwrap())
}

#[tokio::test]
async fn a_version_comes_with_its_code_book_which_is_fetched_once() {
    // SPEC §7.7
    let home = Home::new(vec![Ok(good())]).await;
    let (held, report) = home.sync(None).await.unwrap();
    assert_eq!(report.fetched, (home.published.1.len() + good().len()) as u64);
    assert_eq!(label(&held).category().unwrap().code, "A");
    assert_eq!(fs::read(home.path()).unwrap(), good());
    home.answer(Err(Status::permission_denied("asked again")));
    let (held, report) = home.sync(Some(Arc::new(held))).await.unwrap();
    assert_eq!((report.fetched, label(&held).source()), (0, Some("one")));
    let (held, report) = home.sync(None).await.unwrap();
    assert_eq!((report.fetched, label(&held).reference()), (0, Some("case")));
    let held = home.syncer(None).open_held().unwrap().unwrap();
    assert_eq!(label(&held).category().unwrap().scheme, "uk");
}

#[tokio::test]
async fn no_version_is_put_in_place_with_another_code_book_than_its_own() {
    // SPEC §7.7
    let home = Home::new(Vec::new()).await;
    let text = String::from_utf8(good()).unwrap();
    for wrong in [
        text.replace("\"A\"", "\"B\""),
        text.replace(":[", ": ["),
        text[..text.len() - 1].to_owned(),
        text.clone() + "\n",
    ] {
        home.answer(Ok(wrong.into_bytes()));
        let Err(Error::Untrusted { source, .. }) = home.sync(None).await else { panic!("taken") };
        assert_eq!(source, ProtocolError::CodeBook);
        assert_eq!((home.own.store.held(&fake::list()).unwrap(), home.path().exists()), (None, false));
        assert!(!home.own.dir.artifact(&fake::list(), Version(1)).exists(), "the code book comes first");
    }
    home.answer(Ok(good()));
    assert!(home.sync(None).await.is_ok());
}

#[tokio::test]
async fn an_answer_without_a_code_book_or_with_too_long_a_one_is_no_answer() {
    // SPEC §9.3
    let home = Home::new(Vec::new()).await;
    for len in [0, MAX_CODE_BOOK_LEN + 1] {
        home.answer(Ok(vec![b' '; len]));
        let ended = home.sync(None).await.err();
        assert!(matches!(ended, Some(Error::BadAnswer { .. })), "{len}: {ended:?}");
    }
    // So long that the message is not read.
    home.answer(Ok(vec![b' '; 2 * MAX_CODE_BOOK_LEN]));
    assert!(matches!(home.sync(None).await.err(), Some(Error::Unreachable { .. })));
}

#[tokio::test]
async fn a_code_book_that_the_server_does_not_have_is_said_and_one_that_is_away_for_a_moment_asked_for_again() {
    // SPEC §9.3, §9.6
    let home = Home::new(Vec::new()).await;
    let ended = home.sync(None).await.err().unwrap();
    assert_eq!(ended.reason(), "NO_CODE_BOOK");
    *home.answers.lock().unwrap() = vec![Err(Status::unavailable("cut")), Ok(good())];
    let (held, _) = home.sync(None).await.unwrap();
    assert!(label(&held).category().is_some());
}

#[tokio::test]
async fn a_match_stands_without_the_code_book_and_the_next_synchronisation_fetches_it_anew() {
    // SPEC §7.7
    let home = Home::new(vec![Ok(good())]).await;
    home.sync(None).await.unwrap();
    let gone = |path: &Path| fs::remove_file(path).unwrap();
    let other = |path: &Path| fs::write(path, b"{}").unwrap();
    for damage in [&gone as &dyn Fn(&Path), &other] {
        damage(&home.path());
        let held = home.syncer(None).open_held().unwrap().expect("the list itself is whole");
        let raw = label(&held);
        assert_eq!((raw.category(), raw.source(), raw.reference()), (None, None, Some("case")));
        assert_eq!(raw.bytes(), b"\0\0\x02\x01case");
        let (held, report) = home.sync(Some(Arc::new(held))).await.unwrap();
        assert_eq!(report.fetched, good().len() as u64);
        assert_eq!(label(&held).category().unwrap().code, "A");
    }
}
