//! Tests of policies.

use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::cosignature::Cosigner;

const ORIGIN: &str = "agency.example/veilmatch/manifest";
const NOW: u64 = 1_780_000_000;

fn log_key() -> SigningKey {
    SigningKey::from_bytes(&[0; 32])
}

fn log() -> Verifier {
    Verifier::new(ORIGIN, log_key().verifying_key()).unwrap()
}

fn cosigner(n: u8) -> Cosigner {
    Cosigner::new(&format!("witness{n}.example/w"), SigningKey::from_bytes(&[n; 32])).unwrap()
}

fn witness(n: u8) -> String {
    format!("witness w{n} {}\n", cosigner(n).witness())
}

fn witnesses(n: u8) -> String {
    (1..=n).map(witness).collect()
}

fn checkpoint() -> Checkpoint {
    Checkpoint { origin: ORIGIN.to_owned(), size: 2, root: [7; 32] }
}

/// A checkpoint with cosignatures of these witnesses, each at its time.
fn note(cosigners: &[(u8, u64)]) -> String {
    let signed = checkpoint::sign(&checkpoint(), &log_key()).unwrap();
    cosigners.iter().fold(signed, |note, (n, time)| note + &cosigner(*n).cosign(&checkpoint(), *time))
}

fn count(policy: &str, note: &str) -> Counted {
    let policy = Policy::parse(policy).unwrap();
    policy.count(&Note::parse(note.as_bytes()).unwrap(), NOW).unwrap()
}

fn met(policy: &str, cosigners: &[u8]) -> bool {
    let cosigners: Vec<_> = cosigners.iter().map(|n| (*n, NOW)).collect();
    count(policy, &note(&cosigners)).met
}

#[test]
fn the_example_of_c2sp_is_met_as_it_says() {
    // SPEC §17.5
    let policy = format!(
        "# two organisations\nlog {}\n\n{}\ngroup X-witnesses 2 w1 w2 w3\n{}\tgroup  Y-witnesses any w4 w5 w6 \n\
         group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n",
        log(),
        witnesses(3),
        (4..=6).map(witness).collect::<String>()
    );
    for (cosigners, expected) in [
        (&[][..], false),
        (&[1, 2], false),
        (&[1, 4], false),
        (&[4, 5, 6], false),
        (&[1, 2, 4], true),
        (&[2, 3, 6], true),
        (&[1, 2, 3, 4, 5, 6], true),
    ] {
        assert_eq!(met(&policy, cosigners), expected, "{cosigners:?}");
    }
}

#[test]
fn a_quorum_is_one_witness_or_none() {
    let one = format!("{}quorum w1\n", witnesses(2));
    assert!(met(&one, &[1]) && !met(&one, &[2]));
    assert!(met("quorum none\n", &[]));
    let newest = count(&one, &note(&[(2, NOW), (1, NOW - 5)]));
    assert_eq!(newest, Counted { met: true, newest: Some(NOW - 5), names: vec!["witness1.example/w".to_owned()] });
}

#[test]
fn only_witnesses_that_make_the_quorum_count_for_freshness() {
    // SPEC §17.6: a known witness outside of the quorum made an old checkpoint look fresh.
    let policy = format!("{}group pair all w1 w2\ngroup enough any pair w3\nquorum enough\n", witnesses(4));
    let newest = |cosigners: &[(u8, u64)]| count(&policy, &note(cosigners)).newest;
    assert_eq!(newest(&[(3, NOW - 90), (4, NOW)]), Some(NOW - 90));
    // Half of a pair is no pair.
    assert_eq!(newest(&[(1, NOW), (3, NOW - 90)]), Some(NOW - 90));
    assert_eq!(newest(&[(1, NOW), (2, NOW - 60), (3, NOW - 90)]), Some(NOW));
    assert_eq!(count("quorum none\n", &note(&[(1, NOW)])).newest, None);
    let unmet = count(&policy, &note(&[(1, NOW), (4, NOW)]));
    assert_eq!((unmet.met, unmet.names), (false, vec!["witness1.example/w".to_owned()]));
}

#[test]
fn a_cosignature_more_than_30_s_in_the_future_is_not_counted() {
    // SPEC §17.5
    let policy = format!("{}quorum w1\n", witnesses(1));
    assert!(count(&policy, &note(&[(1, NOW + 30)])).met);
    let ahead = count(&policy, &note(&[(1, NOW + 31)]));
    assert_eq!(ahead, Counted { met: false, newest: None, names: Vec::new() });
    assert_eq!(count(&policy, &note(&[(1, NOW + 31), (1, NOW - 60)])).newest, Some(NOW - 60));
}

#[test]
fn a_witness_counts_once_however_often_it_cosigned() {
    // SPEC §17.5
    let policy = format!("{}group g 2 w1 w2\nquorum g\n", witnesses(2));
    assert!(!count(&policy, &note(&[(1, NOW), (1, NOW - 1), (1, NOW - 2)])).met);
}

#[test]
fn the_keeper_of_a_log_does_not_count_for_it() {
    // SPEC §17.5
    let own_name = Cosigner::new("agency.example/veilmatch/witness", SigningKey::from_bytes(&[9; 32])).unwrap();
    let own_key = Cosigner::new("other.example/w", log_key()).unwrap();
    for own in [own_name, own_key] {
        let policy = format!("log {}\nwitness own {}\nquorum own\n", log(), own.witness());
        let note = note(&[]) + &own.cosign(&checkpoint(), NOW);
        assert_eq!(count(&policy, &note), Counted { met: false, newest: None, names: Vec::new() });
    }
}

#[test]
fn a_failing_line_of_a_known_witness_rejects_the_checkpoint() {
    // SPEC §17.5
    let policy = Policy::parse(&format!("{}quorum w1\n", witnesses(2))).unwrap();
    let forged = cosigner(2).cosign(&Checkpoint { size: 3, ..checkpoint() }, NOW);
    let note = note(&[(1, NOW)]) + &forged;
    assert_eq!(policy.count(&Note::parse(note.as_bytes()).unwrap(), NOW), Err(Error::BadCheckpoint));
}

#[test]
fn a_checkpoint_opens_under_the_logs_of_the_policy_alone() {
    let policy = Policy::parse(&format!("log {}\n{}quorum w1\n", log(), witness(1))).unwrap();
    let (opened, counted) = policy.open(note(&[(1, NOW)]).as_bytes(), NOW).unwrap();
    assert_eq!((opened, counted.met), (checkpoint(), true));
    let other = Verifier::new(ORIGIN, SigningKey::from_bytes(&[5; 32]).verifying_key()).unwrap();
    let rotated = format!("log {other}\nlog {} https://agency.example/manifest\nquorum none\n", log());
    let rotated = Policy::parse(&rotated).unwrap();
    assert!(rotated.open(note(&[]).as_bytes(), NOW).is_ok(), "two keys of one log");
    assert_eq!(rotated.logs()[1].url.as_deref(), Some("https://agency.example/manifest"));
    let unknown = Policy::parse(&format!("log {other}\nquorum none\n")).unwrap();
    assert_eq!(unknown.open(note(&[]).as_bytes(), NOW), Err(Error::BadCheckpoint));
    assert_eq!(Policy::parse("quorum none").unwrap().open(note(&[]).as_bytes(), NOW), Err(Error::BadCheckpoint));
}

#[test]
fn a_policy_that_is_not_right_is_refused() {
    // SPEC §17.5
    let three = witnesses(3);
    let twice =
        format!("witness other {}\n", Cosigner::new("x.example", SigningKey::from_bytes(&[1; 32])).unwrap().witness());
    for text in [
        String::new(),
        three.clone(),
        format!("{three}quorum w4\n"),
        format!("{three}quorum w1\nquorum w1\n"),
        format!("quorum w1\n{three}"),
        format!("{three}group g any\nquorum g\n"),
        format!("{three}group g 0 w1\nquorum g\n"),
        format!("{three}group g 3 w1 w2\nquorum g\n"),
        format!("{three}group g +1 w1 w2\nquorum g\n"),
        format!("{three}group g 99999999999999999999 w1 w2\nquorum g\n"),
        format!("{three}group g any w1 w1\nquorum g\n"),
        format!("{three}group g any w1\ngroup h any w1 w2\nquorum h\n"),
        format!("{three}group g any g\nquorum g\n"),
        format!("{three}group g any h\ngroup h any w1\nquorum g\n"),
        format!("{three}group g any none\nquorum g\n"),
        format!("{three}group none any w1\nquorum none\n"),
        format!("{three}group w1 any w2\nquorum w1\n"),
        format!("{three}group g any w1\ngroup g any w2\nquorum g\n"),
        format!("{three}{twice}quorum w1\n"),
        format!("{three}{}quorum w1\n", witness(1).replace(" w1 ", " w9 ")),
        format!("{}quorum none\n", witness(1).replace(" w1 ", " none ")),
        format!("log {}\nlog {}\nquorum none\n", log(), log()),
        format!("log {}\nquorum none\n", cosigner(1).witness()),
        format!("witness w1 {}\nquorum w1\n", log()),
        format!("log {} url more\nquorum none\n", log()),
        "quorum none extra\n".to_owned(),
        "Quorum none\n".to_owned(),
        "quorum none\r\n".to_owned(),
        "quorum none\n\0".to_owned(),
        format!("quorum none\n{}", "#".repeat(64 * 1_024)),
    ] {
        assert_eq!(Policy::parse(&text).unwrap_err(), Error::BadPolicy, "{text}");
    }
}

#[test]
fn sixty_four_witnesses_are_read_and_no_more() {
    let many = |n: u8| format!("{}quorum none\n", witnesses(n));
    assert_eq!(Policy::parse(&many(64)).unwrap().witnesses().count(), 64);
    assert_eq!(Policy::parse(&many(65)).unwrap_err(), Error::BadPolicy);
}

#[test]
fn a_split_view_is_excluded_where_any_two_quorums_share_somebody_who_is_no_party() {
    // SPEC §17.5, §21.3
    let excludes = |groups: &str| {
        let policy = Policy::parse(&format!("{}{groups}", witnesses(6))).unwrap();
        policy.excludes_split_view(ORIGIN, &["witness1.example"])
    };
    for (groups, expected) in [
        // k of n share 2k − n, one of whom may be the party.
        ("group g 4 w1 w2 w3 w4 w5\nquorum g\n", true),
        ("group g 2 w2 w3 w4 w5\nquorum g\n", false),
        ("group g 3 w2 w3 w4 w5\nquorum g\n", true),
        ("group g 2 w2 w3 w4\nquorum g\n", true),
        ("group g 2 w1 w2 w3\nquorum g\n", false),
        ("group g 3 w1 w2 w3 w4\nquorum g\n", true),
        ("group g all w1 w2\nquorum g\n", true),
        ("group g any w1 w2\nquorum g\n", false),
        // The party alone, another alone, nobody.
        ("quorum w1\n", false),
        ("quorum w2\n", true),
        ("quorum none\n", false),
        // A witness outside of the quorum changes nothing.
        ("group g 2 w1 w2\ngroup other all w3 w4 w5\nquorum w1\n", false),
        // Nested: two that share, of which both are asked for, or one.
        ("group a 2 w1 w2 w3\ngroup b 2 w4 w5 w6\ngroup g all a b\nquorum g\n", true),
        ("group a 2 w2 w3 w4\ngroup b all w5 w6\ngroup g any a b\nquorum g\n", false),
        ("group a any w2 w3\ngroup b any w4 w5\ngroup g all a b\nquorum g\n", false),
        ("group a any w2 w3\ngroup g 2 a w4 w5\nquorum g\n", false),
        ("group a all w2 w3\ngroup g 2 a w4 w5\nquorum g\n", true),
    ] {
        assert_eq!(excludes(groups), expected, "{groups}");
    }
}

#[test]
fn the_keeper_of_a_log_is_in_no_quorum_that_could_share_it() {
    // SPEC §17.5
    let own = Cosigner::new("agency.example/veilmatch/witness", SigningKey::from_bytes(&[9; 32])).unwrap();
    let own = format!("{}witness own {}\n", witnesses(3), own.witness());
    let excludes = |rest: &str| Policy::parse(&format!("{own}{rest}")).unwrap().excludes_split_view(ORIGIN, &[]);
    assert!(excludes("group g 2 own w1 w2 w3\nquorum g\n"), "two of the other three");
    assert!(excludes("group g 2 own w1 w2\nquorum g\n"), "the other two are both in it");
    assert!(!excludes("group g any own w1 w2\nquorum g\n"));
    assert!(!excludes("quorum own\n"), "it is never met");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn k_of_n_is_met_by_k_of_n(n in 1_u8..8, k in 1_usize..8, cosigned in 0_u8..=255) {
        prop_assume!(k <= usize::from(n));
        let names: String = (1..=n).map(|n| format!(" w{n}")).collect();
        let policy = format!("{}group g {k}{names}\nquorum g\n", witnesses(n));
        let cosigners: Vec<u8> = (1..=n).filter(|n| cosigned >> (n - 1) & 1 == 1).collect();
        prop_assert_eq!(met(&policy, &cosigners), cosigners.len() >= k);
    }

    #[test]
    fn a_split_view_is_excluded_just_where_no_two_quorums_are_apart(
        a in 1_usize..=2, b in 1_usize..=3, top in 1_usize..=3, party in 0_u8..=6,
    ) {
        let text = format!(
            "{}group a {a} w1 w2\ngroup b {b} w3 w4 w5\ngroup g {top} a b w6\nquorum g\n", witnesses(6)
        );
        let policy = Policy::parse(&text).unwrap();
        let meets = |cosigned: u8| {
            let times: Vec<_> = (0..6).map(|n| (cosigned >> n & 1 == 1).then_some(NOW)).collect();
            policy.met(policy.quorum.unwrap(), &times)
        };
        // Everybody but the party is on one side.
        let own = if party == 0 { 0 } else { 1 << (party - 1) };
        let apart = (0..64_u8).any(|one| meets(one | own) && meets(!one & 63 | own));
        prop_assert_eq!(policy.excludes_split_view(ORIGIN, &[&format!("witness{party}.example")]), !apart);
    }

    #[test]
    fn no_text_makes_the_parser_fall(text in "((log|witness|group|quorum|any|all|none|g|w1|2|\\PC)[ \t\n]){0,20}") {
        let _ = Policy::parse(&text);
    }
}
