use ed25519_dalek::SigningKey;

use super::*;

#[test]
fn every_log_has_one_origin_and_nothing_else_is_one() {
    // SPEC §17.1
    for good in [
        "agency.example/veilmatch/manifest",
        "agency.example/veilmatch/query/2026h2",
        "agency.example/veilmatch/query/2026h1.2",
        "platform.example/veilmatch/match/agency.example/2026h2.17",
    ] {
        assert_eq!(LogOrigin::parse(good).unwrap().to_string(), good);
    }
    for bad in [
        "",
        "agency.example",
        "agency.example/veilmatch/manifest/",
        "agency.example/veilmatch/manifest/2026h2",
        "agency.example/veilmatch/query",
        "agency.example/veilmatch/query/2026h3",
        "agency.example/veilmatch/query/2026h0",
        "agency.example/veilmatch/query/1969h1",
        "agency.example/veilmatch/query/02026h1",
        "agency.example/veilmatch/query/2026h2.1",
        "agency.example/veilmatch/query/2026h2.0",
        "agency.example/veilmatch/query/2026h2.02",
        "agency.example/veilmatch/query/2026h2.+2",
        "agency.example/veilmatch/query/2026h2.",
        "agency.example/veilmatch/query/+026h2",
        "Agency.example/veilmatch/manifest",
        "platform.example/veilmatch/match/2026h2",
        "platform.example/veilmatch/match/agency.example/2026h2/more",
        "a/b/c/d/e/f/g/h",
    ] {
        assert_eq!(LogOrigin::parse(bad), Err(Error::BadCheckpoint), "{bad}");
    }
}

#[test]
fn a_half_year_of_utc_is_a_shard() {
    // SPEC §17.1
    let shard = |time: &str| Shard::of(Timestamp::parse(time).unwrap()).to_string();
    assert_eq!(shard("2026-01-01T00:00:00Z"), "2026h1");
    assert_eq!(shard("2026-06-30T23:59:59Z"), "2026h1");
    assert_eq!(shard("2026-07-01T00:00:00Z"), "2026h2");
    assert_eq!(shard("2026-12-31T23:59:59Z"), "2026h2");
    let second: Shard = "2026h2.2".parse().unwrap();
    assert!(second.contains(Timestamp::parse("2026-08-01T00:00:00Z").unwrap()));
    assert!(!second.contains(Timestamp::parse("2026-06-30T00:00:00Z").unwrap()));
    let first = "2026h2".parse::<Shard>().unwrap();
    assert_eq!((first.successor(), second.predecessor(), first.predecessor()), (second, Some(first), None));
    assert_eq!((second.first(), second.start().to_string().as_str()), (first, "2026-07-01T00:00:00Z"));
    let log = LogOrigin::parse("platform.example/veilmatch/match/agency.example/2026h1.3").unwrap();
    let before = log.predecessor().unwrap();
    assert_eq!(before.to_string(), "platform.example/veilmatch/match/agency.example/2026h1.2");
    assert_eq!(LogOrigin::parse("agency.example/veilmatch/manifest").unwrap().predecessor(), None);
}

#[test]
fn one_pinned_key_serves_every_shard_of_its_own_log_and_no_other() {
    // SPEC §17.2
    let key = SigningKey::from_bytes(&[1; 32]).verifying_key();
    let pinned = Verifier::new("agency.example/veilmatch/query", key).unwrap();
    let log = LogOrigin::parse("agency.example/veilmatch/query/2026h2").unwrap();
    let verifier = log.verifier(&pinned).unwrap();
    assert_eq!(verifier.name(), "agency.example/veilmatch/query/2026h2");
    assert_eq!(verifier.key(), pinned.key());
    let others =
        ["other.example/veilmatch/query/2026h2", "agency.example/veilmatch/manifest", "a/veilmatch/match/b/2026h2"];
    for other in others {
        assert_eq!(LogOrigin::parse(other).unwrap().verifier(&pinned), Err(Error::BadCheckpoint), "{other}");
    }
}

use veilmatch_protocol::manifest::Timestamp;

#[test]
fn half_years_follow_each_other_without_a_gap() {
    // SPEC §17.1
    let shard = |text: &str| text.parse::<Shard>().unwrap();
    for (before, after) in [("2026h1", "2026h2"), ("2026h2", "2027h1"), ("1970h1", "1970h2"), ("9999h1", "9999h2")] {
        assert_eq!((shard(before).next_half(), shard(after).previous_half()), (shard(after), shard(before)));
    }
    assert_eq!(shard("2026h2.3").previous_half(), shard("2026h1"));
    assert_eq!((shard("1970h1").previous_half(), shard("9999h2").next_half()), (shard("1970h1"), shard("9999h2")));
}
