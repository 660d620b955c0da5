use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use ed25519_dalek::SigningKey;
use serde_json::Value;
use veilmatch_lists::{Format, Options};
use veilmatch_protocol::{
    item::Kind,
    name::{AgencyName, ListId, PlatformId},
    note::Verifier,
};

use super::*;
use crate::{
    import::ImportOptions,
    world::{NOON, World, custom, item},
};

#[test]
fn init_makes_a_directory_that_serves_and_nobody_else_reads() {
    let world = World::new();
    for secret in [
        "authority.key",
        "server.key",
        "manifest-log.key",
        "query-log.key",
        "ack.key",
        "witness.key",
        "oprf/base-1.seed",
    ] {
        let mode = fs::metadata(world.root().join("keys").join(secret)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{secret}");
    }
    assert_eq!(fs::metadata(world.root()).unwrap().permissions().mode() & 0o777, 0o700);
    let agency = world.agency();
    assert_eq!(agency.config().network.listen, "127.0.0.1:7443".parse().unwrap());
    let again = InitOptions {
        agency: AgencyName::parse("agency.example").unwrap(),
        address: "localhost:1".into(),
        listen: None,
        log_listen: None,
    };
    assert_eq!(init(&world.root(), &again, NOON).unwrap_err().reason(), "ALREADY_INITIALISED");
}

#[test]
fn an_auditor_is_enrolled_by_request_or_certificate_and_suspended_by_name() {
    let world = World::new();
    let name = PlatformId::parse("auditor.example").unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let (request, certificate) = (world.path("a.csr"), world.path("a.pem"));
    let pem = rcgen::CertificateParams::default().serialize_request(&key).unwrap().pem().unwrap();
    fs::write(&request, pem).unwrap();
    let mut agency = world.agency();
    let added = agency.auditor_add(&name, AuditorKey::Request(&request, &certificate), NOON).unwrap();
    let other = PlatformId::parse("other.example").unwrap();
    let taken = agency.auditor_add(&other, AuditorKey::Certificate(&certificate), NOON).unwrap_err();
    assert_eq!(taken.reason(), "KEY_IN_USE");
    let again = agency.auditor_add(&name, AuditorKey::Certificate(&certificate), NOON).unwrap();
    assert_eq!((again.spki_sha256, again.certificate_until), (added.spki_sha256, added.certificate_until));
    agency.auditor_suspend(&name, false, NOON).unwrap();
    assert_eq!(agency.auditors().unwrap()[0].suspended_at, Some(NOON));
    assert_eq!(agency.auditor_suspend(&other, false, NOON).unwrap_err().reason(), "UNKNOWN_AUDITOR");
    fs::write(&certificate, "nothing").unwrap();
    let nothing = agency.auditor_add(&other, AuditorKey::Certificate(&certificate), NOON).unwrap_err();
    assert_eq!(nothing.reason(), "BAD_ARGUMENT");
}

#[test]
fn an_init_that_was_killed_before_its_end_can_be_given_again() {
    let world = World::new();
    fs::remove_file(world.root().join("config.toml")).unwrap();
    assert_eq!(Agency::open(&world.root()).err().unwrap().reason(), "NOT_INITIALISED");
    let options = InitOptions {
        agency: AgencyName::parse("agency.example").unwrap(),
        address: "192.0.2.1:7443".into(),
        listen: None,
        log_listen: None,
    };
    init(&world.root(), &options, NOON).unwrap();
    assert_eq!(world.agency().config().network.listen, "192.0.2.1:7443".parse().unwrap());
}

#[test]
fn a_killed_init_can_be_given_again_with_another_name() {
    // The first name stayed in the store, and the directory that the second made was refused by every command.
    let parent = tempfile::tempdir().unwrap();
    let root = parent.path().join("agency");
    let options = |agency: &str| InitOptions {
        agency: AgencyName::parse(agency).unwrap(),
        address: "localhost:7443".into(),
        listen: None,
        log_listen: None,
    };
    init(&root, &options("misspelt.example"), NOON).unwrap();
    fs::remove_file(root.join("config.toml")).unwrap();
    init(&root, &options("agency.example"), NOON).unwrap();
    let mut agency = Agency::open(&root).unwrap();
    assert_eq!(agency.config().agency, "agency.example");

    // With a list in it, it is an agency that has lost its configuration.
    agency.list_create(&ListId::parse("base").unwrap(), 4, &[Kind::Md5], NOON).unwrap();
    fs::remove_file(root.join("config.toml")).unwrap();
    let key = fs::read(root.join("keys/manifest-log.key")).unwrap();
    let refused = init(&root, &options("other.example"), NOON).unwrap_err();
    assert_eq!(refused.reason(), "ALREADY_INITIALISED");
    assert_eq!(fs::read(root.join("keys/manifest-log.key")).unwrap(), key);
}

#[test]
fn a_configuration_that_names_another_agency_is_refused() {
    let world = World::new();
    let path = world.root().join("config.toml");
    let text = fs::read_to_string(&path).unwrap().replace("agency.example", "other.example");
    fs::write(&path, text).unwrap();
    let refused = Agency::open(&world.root()).err().unwrap();
    assert!(refused.to_string().contains("belongs to agency.example"), "{refused}");
}

#[test]
fn a_list_is_created_once_and_its_key_survives_the_second_try() {
    let world = World::new();
    let seed = fs::read(world.root().join("keys/oprf/base-1.seed")).unwrap();
    let refused = world.agency().list_create(&world.list, 4, &[Kind::Md5], NOON).unwrap_err();
    assert_eq!(refused.reason(), "LIST_EXISTS");
    assert_eq!(fs::read(world.root().join("keys/oprf/base-1.seed")).unwrap(), seed);
    let list = ListId::parse("other").unwrap();
    assert_eq!(world.agency().list_create(&list, 65, &[Kind::Md5], NOON).unwrap_err().reason(), "BAD_ARGUMENT");
    assert_eq!(world.agency().list_create(&list, 4, &[], NOON).unwrap_err().reason(), "BAD_ARGUMENT");
}

#[test]
fn rows_of_a_file_add_up_and_bad_ones_are_named_by_line() {
    let world = World::new();
    let good = |number| format!("sha256:{}", hex::encode(item(number).digest()));
    let sha1 = "sha1:da4b9237bacccdf19c0760cab7aec4a8359010b0";
    let lines = [good(1), "nonsense".into(), good(2), good(1), sha1.into(), good(3)];
    let file = world.path("mixed.txt");
    fs::write(&file, lines.join("\n")).unwrap();
    let options = ImportOptions {
        reading: Options { format: Some(Format::Plain), kind: None, ..Options::default() },
        category: Some(custom("A1")),
        ..ImportOptions::default()
    };
    let change = world.agency().import(&world.list, &file, &options, NOON, &mut |_, _, _| ()).unwrap();
    let tally = &change.tally;
    assert_eq!((tally.read, tally.accepted, tally.duplicate, tally.quarantined), (6, 3, 1, 2));
    let named: Vec<_> = tally.rows.iter().map(|row| (row.place.row, row.reason)).collect();
    assert_eq!(named[1], (5, "KIND_NOT_IN_LIST"));
    assert_eq!(named[0].0, 2);
    let status = world.agency().list_status(&world.list, NOON).unwrap();
    assert_eq!((status.to_add, status.to_remove, status.changes.len()), (3, 0, 1));
}

#[test]
fn an_unreadable_or_empty_file_changes_nothing() {
    let world = World::new();
    let options = ImportOptions::default();
    let empty = world.path("empty.txt");
    fs::write(&empty, b"").unwrap();
    let import = |path: &std::path::Path| {
        world.agency().import(&world.list, path, &options, NOON, &mut |_, _, _| ()).unwrap_err()
    };
    assert_eq!(import(&empty).reason(), "BAD_HASH_LIST");
    assert_eq!(import(&world.path("absent.txt")).reason(), "IO");
    // A folder opens like a file and fails when it is read.
    let folder = import(&world.root());
    assert!(matches!(&folder, Error::HashList { source, .. } if source.reason() == "LIST_READ"), "{folder:?}");
    assert!(folder.to_string().contains("agency"), "{folder}");
    let status = world.agency().list_status(&world.list, NOON).unwrap();
    assert!(status.changes.is_empty());
}

#[test]
fn a_symbolic_link_is_not_followed_and_its_target_is_named() {
    let world = World::new();
    let link = world.path("link.txt");
    symlink(world.list_file(0..10), &link).unwrap();
    let options = ImportOptions::default();
    let refused = world.agency().import(&world.list, &link, &options, NOON, &mut |_, _, _| ()).unwrap_err();
    assert_eq!(refused.reason(), "BAD_ARGUMENT");
    let told = refused.to_string();
    assert!(told.contains("link.txt is a symbolic link; name what it leads to, /"), "{told}");
    assert!(world.agency().list_status(&world.list, NOON).unwrap().changes.is_empty());
}

#[test]
fn a_label_that_has_no_room_is_refused_and_nothing_is_taken() {
    let world = World::new();
    let short = ListId::parse("short").unwrap();
    world.agency().list_create(&short, 2, &[Kind::Sha256], NOON).unwrap();
    let file = world.list_file(0..10);
    for (list, code, room) in [(&short, "A12", 2), (&world.list, &*"x".repeat(65), 64)] {
        let options = ImportOptions { category: Some(custom(code)), ..ImportOptions::default() };
        let refused = world.agency().import(list, &file, &options, NOON, &mut |_, _, _| ()).unwrap_err();
        assert!(
            matches!(refused, Error::LabelTooLong { given, room: most } if given == room + 1 && most == room),
            "{refused}"
        );
        assert!(world.agency().list_status(list, NOON).unwrap().changes.is_empty());
    }
}

#[test]
fn an_invitation_holds_all_that_a_platform_needs_and_no_private_key() {
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms { elements_per_day: Some(7), ..Default::default() });
    let text = fs::read_to_string(world.path("invitation.json")).unwrap();
    assert!(!text.contains("PRIVATE KEY"));
    let invitation: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(invitation["type"], "veilmatch/invitation/v1");
    assert_eq!(invitation["address"], "localhost:7443");
    assert_eq!(invitation["server_name"], "localhost");
    assert_eq!(invitation["lists"], serde_json::json!(["base"]));
    assert_eq!(invitation["budget"], serde_json::json!({"elements": 7, "frames": 500_000}));
    let vkey = Verifier::parse(invitation["manifest_key"].as_str().unwrap()).unwrap();
    assert_eq!(vkey.name(), "agency.example/veilmatch/manifest");
    assert_eq!(platform.identity.uri_sans, ["veilmatch://agency.example/platform/platform.example"]);
}

#[test]
fn the_same_request_renews_and_new_keys_need_the_operators_word() {
    let world = World::published(10);
    let (tls, key) = (rcgen::KeyPair::generate().unwrap(), SigningKey::from_bytes(&[1; 32]));
    let terms = ClientTerms { frames_per_day: Some(9), ..ClientTerms::default() };
    let add = |tls: &rcgen::KeyPair, key: &SigningKey, terms: &ClientTerms, now| {
        let request = world.request_file("platform.example", tls, key);
        world.agency().client_add(&request, &world.path("invitation.json"), terms, now)
    };
    assert!(matches!(add(&tls, &key, &terms, NOON).unwrap(), ClientAdded::Enrolled(_)));
    let ClientAdded::Renewed(row) = add(&tls, &key, &ClientTerms::default(), NOON + 86_400).unwrap() else {
        panic!("not renewed")
    };
    assert_eq!((row.frames_per_day, row.added), (9, NOON));
    assert_eq!(row.certificate_until, NOON + 31 * 86_400);

    let other = SigningKey::from_bytes(&[2; 32]);
    assert_eq!(add(&tls, &other, &terms, NOON).unwrap_err().reason(), "CLIENT_EXISTS");
    let replace = ClientTerms { replace: true, ..ClientTerms::default() };
    assert!(matches!(add(&tls, &other, &replace, NOON).unwrap(), ClientAdded::Replaced(_)));

    let request = world.request_file("second.example", &tls, &key);
    let taken = world.agency().client_add(&request, &world.path("second.json"), &terms, NOON).unwrap_err();
    assert_eq!(taken.reason(), "KEY_IN_USE");
    assert!(!world.path("second.json").exists());
}

#[test]
fn a_suspended_platform_stays_suspended_when_its_certificate_is_renewed() {
    let world = World::published(10);
    let (tls, key) = (rcgen::KeyPair::generate().unwrap(), SigningKey::from_bytes(&[1; 32]));
    let request = world.request_file("platform.example", &tls, &key);
    let add = || world.agency().client_add(&request, &world.path("i.json"), &ClientTerms::default(), NOON).unwrap();
    add();
    let platform = PlatformId::parse("platform.example").unwrap();
    world.agency().client_suspend(&platform, false, NOON).unwrap();
    add();
    assert_eq!(world.agency().clients().unwrap()[0].suspended_at, Some(NOON));
    world.agency().client_suspend(&platform, true, NOON).unwrap();
    assert_eq!(world.agency().clients().unwrap()[0].suspended_at, None);
    let nobody = PlatformId::parse("nobody.example").unwrap();
    assert_eq!(world.agency().client_suspend(&nobody, false, NOON).unwrap_err().reason(), "UNKNOWN_CLIENT");
}

#[test]
fn a_renewal_keeps_the_lists_that_a_platform_may_ask_unless_they_are_named() {
    // Without --list a renewal gave the platform every list of the agency, and said so in one line among others.
    let world = World::published(10);
    let second = ListId::parse("second").unwrap();
    world.agency().list_create(&second, 4, &[Kind::Sha256], NOON).unwrap();
    let (tls, key) = (rcgen::KeyPair::generate().unwrap(), SigningKey::from_bytes(&[1; 32]));
    let request = world.request_file("platform.example", &tls, &key);
    let add = |terms: ClientTerms| {
        world.agency().client_add(&request, &world.path("i.json"), &terms, NOON).unwrap();
        let invited: Value = serde_json::from_str(&fs::read_to_string(world.path("i.json")).unwrap()).unwrap();
        let lists = world.agency().clients().unwrap().remove(0).lists;
        assert_eq!(invited["lists"], serde_json::json!(lists.iter().map(ListId::as_str).collect::<Vec<_>>()));
        lists.iter().map(ListId::to_string).collect::<Vec<_>>()
    };
    assert_eq!(add(ClientTerms { lists: vec![second.clone()], ..ClientTerms::default() }), ["second"]);
    assert_eq!(add(ClientTerms::default()), ["second"]);
    assert_eq!(add(ClientTerms { all_lists: true, ..ClientTerms::default() }), ["base", "second"]);
    assert_eq!(add(ClientTerms { lists: vec![world.list.clone()], ..ClientTerms::default() }), ["base"]);
    let both = ClientTerms { lists: vec![second], all_lists: true, ..ClientTerms::default() };
    let refused = world.agency().client_add(&request, &world.path("i.json"), &both, NOON).unwrap_err();
    assert_eq!(refused.reason(), "BAD_ARGUMENT");
}

#[test]
fn where_no_invitation_can_be_written_nobody_is_enrolled() {
    // The client was enrolled first: a typing error in --out left a platform that could ask and had no invitation, and
    // any file of that name was replaced by one.
    let world = World::published(10);
    let (tls, key) = (rcgen::KeyPair::generate().unwrap(), SigningKey::from_bytes(&[1; 32]));
    let request = world.request_file("platform.example", &tls, &key);
    let add = |out: &std::path::Path| world.agency().client_add(&request, out, &ClientTerms::default(), NOON);
    assert_eq!(add(&world.path("absent/invitation.json")).unwrap_err().reason(), "IO");
    for text in ["notes of the operator", r#"{"type":"something/else"}"#, ""] {
        fs::write(world.path("mine.txt"), text).unwrap();
        assert_eq!(add(&world.path("mine.txt")).unwrap_err().reason(), "BAD_ARGUMENT");
        assert_eq!(fs::read_to_string(world.path("mine.txt")).unwrap(), text);
    }
    assert_eq!(add(&world.root()).unwrap_err().reason(), "BAD_ARGUMENT");
    assert!(world.agency().clients().unwrap().is_empty());
    add(&world.path("invitation.json")).unwrap();
    add(&world.path("invitation.json")).unwrap();
}

#[test]
fn a_budget_that_no_manifest_could_say_is_refused() {
    // 2^63 and more made the store panic.
    let world = World::published(10);
    let (tls, key) = (rcgen::KeyPair::generate().unwrap(), SigningKey::from_bytes(&[1; 32]));
    let request = world.request_file("platform.example", &tls, &key);
    for too_many in [1 << 53, 1 << 63, u64::MAX] {
        let elements = ClientTerms { elements_per_day: Some(too_many), ..ClientTerms::default() };
        let frames = ClientTerms { frames_per_day: Some(too_many), ..ClientTerms::default() };
        for terms in [elements, frames] {
            let refused = world.agency().client_add(&request, &world.path("i.json"), &terms, NOON).unwrap_err();
            assert_eq!(refused.reason(), "BAD_ARGUMENT");
        }
    }
    let most = ClientTerms { elements_per_day: Some((1 << 53) - 1), ..ClientTerms::default() };
    world.agency().client_add(&request, &world.path("i.json"), &most, NOON).unwrap();
}

#[test]
fn a_platform_is_suspended_while_another_command_is_at_work() {
    // It answered BUSY as long as an import or a publication ran: hours in which a stolen key could be used.
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default()).name;
    let agency = world.agency();
    let _held = agency.dir().lock_changes().unwrap();
    world.agency().client_suspend(&platform, false, NOON).unwrap();
    assert_eq!(world.agency().clients().unwrap()[0].suspended_at, Some(NOON));
    world.agency().client_suspend(&platform, true, NOON).unwrap();
}

#[test]
fn a_suspension_in_the_middle_of_a_renewal_stands() {
    let world = World::published(10);
    let platform = world.enrol("platform.example", &ClientTerms::default()).name;
    let mut store = world.store();
    let before = store.client(&platform).unwrap().unwrap();
    world.agency().client_suspend(&platform, false, NOON).unwrap();
    store.put_client(&before).unwrap();
    assert_eq!(store.client(&platform).unwrap().unwrap().suspended_at, Some(NOON));
}

#[test]
fn two_commands_do_not_change_a_directory_at_once() {
    let world = World::published(10);
    let agency = world.agency();
    let _held = agency.dir().lock_changes().unwrap();
    assert_eq!(world.agency().publish(&world.list, true, NOON, &|_| ()).unwrap_err().reason(), "BUSY");
    let file = world.list_file([1]);
    let refused =
        world.agency().retract(&world.list, &file, &ImportOptions::default(), NOON, &mut |_, _, _| ()).unwrap_err();
    assert_eq!(refused.reason(), "BUSY");
}
