use std::sync::Mutex;

use super::*;
use crate::fake;
use veilmatch_protocol::manifest::Timestamp;

#[tokio::test]
async fn a_download_that_stalls_goes_on_with_another_call() {
    // SPEC §9.6. A server that answered PINGs and sent no further chunk held the synchronisation for ever, and with it
    // every later one.
    let home = fake::Home::new();
    let stalls = Arc::new(Mutex::new(2));
    let (signed, bytes) = fake::published(Timestamp::from_unix(4_000_000_000));
    let address = fake::stalling_in_files((signed, bytes.clone()), Arc::clone(&stalls)).await;
    let (connection, verifier, list) = (Connection::plain(&address), fake::verifier(), fake::list());
    let sync = Sync {
        dir: &home.dir,
        store: &home.store,
        connection: &connection,
        verifier: &verifier,
        watch: &home.watch,
        log: &home.log,
        list: &list,
        held: None,
        progress: &|_| {},
    };
    let (held, report) = sync.run().await.unwrap();
    assert_eq!((held.version(), report.fetched), (Version(1), bytes.len() as u64));
    assert_eq!(*stalls.lock().unwrap(), 0);
}

#[test]
fn a_file_that_may_not_be_read_is_not_damaged() {
    // Whatever failed was damage: a whole list was fetched anew over one that only could not be opened just then.
    let io = |kind: ErrorKind| is_damage(&Error::io("map", Path::new("1.vml"))(kind.into()));
    assert!(io(ErrorKind::NotFound) && io(ErrorKind::InvalidInput));
    assert!(!io(ErrorKind::PermissionDenied) && !io(ErrorKind::OutOfMemory) && !io(ErrorKind::WouldBlock));
    let source = ProtocolError::BadArtifact;
    assert!(is_damage(&Error::Untrusted { list: "baseline".to_owned(), source, evidence: None }));
}
