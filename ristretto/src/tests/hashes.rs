//! SHA-512 of many messages against the crate `sha2`.

use rand::SeedableRng;
use sha2::Digest;

use super::*;

fn check(prefix: &[u8], messages: &[Vec<u8>]) {
    let hash = |message: &Vec<u8>| -> [u8; 64] {
        sha2::Sha512::new_with_prefix(prefix).chain_update(message).finalize().into()
    };
    let want: Vec<_> = messages.iter().map(hash).collect();
    for backend in Backend::all() {
        let mut digests = vec![[0xaa; 64]; messages.len()];
        let many = backend.sha512(prefix);
        many.digests(&mut digests, |i, message| {
            // In two pieces.
            let (a, b) = messages[i].split_at(messages[i].len() / 3);
            message.extend(a);
            message.extend(b);
        });
        assert_eq!(digests, want, "{backend}");
    }
}

fn message(rng: &mut StdRng, len: usize) -> Vec<u8> {
    (0..len).map(|_| rng.random()).collect()
}

#[test]
fn every_length_up_to_three_blocks_equals_the_single_hash() {
    let mut rng = StdRng::seed_from_u64(30);
    for len in 0..400 {
        let messages: Vec<_> = (0..9).map(|_| message(&mut rng, len)).collect();
        check(&[], &messages);
    }
}

#[test]
fn every_prefix_up_to_three_blocks_equals_the_single_hash() {
    let mut rng = StdRng::seed_from_u64(31);
    for len in 0..400 {
        let prefix = message(&mut rng, len);
        check(&prefix, &[message(&mut rng, 0), message(&mut rng, 79), message(&mut rng, 128)]);
    }
}

#[test]
fn messages_of_different_lengths_stand_side_by_side() {
    let mut rng = StdRng::seed_from_u64(32);
    for n in (0..=17).chain([100]) {
        let messages: Vec<_> = (0..n)
            .map(|_| {
                let len = rng.random_range(0..600);
                message(&mut rng, len)
            })
            .collect();
        check(b"veilmatch", &messages);
    }
}

#[test]
fn the_published_digest_of_abc_comes_out() {
    // FIPS 180-4's example: ddaf35a1 93617aba cc417349 ae204131 …
    for backend in Backend::all() {
        let mut digests = [[0; 64]; 3];
        backend.sha512(&[]).digests(&mut digests, |_, message| message.extend(b"abc"));
        for digest in digests {
            assert_eq!(digest[..16], 0xddaf_35a1_9361_7aba_cc41_7349_ae20_4131_u128.to_be_bytes());
        }
    }
}
