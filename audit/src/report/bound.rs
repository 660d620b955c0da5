//! What canaries say about omissions.

/// Confidence that is missing from 1.
const DOUBT: f64 = 0.05;

/// Upper bound, at 95 %, of the rate at which a platform omits what it should report, if `missed` of `planted` canaries
/// were missed and omission does not choose: 1 − 0.05^(1/planted) if none was (Clopper and Pearson). In tenths of a per
/// cent, rounded up.
#[must_use]
pub fn omission_bound(planted: u64, missed: u64) -> u64 {
    if planted == 0 || missed >= planted {
        return 1_000;
    }
    // The rate at which that few misses would be a one-in-twenty chance; the chance falls as the rate rises.
    let (mut low, mut high) = (0.0_f64, 1.0_f64);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if chance_of_at_most(missed, planted, middle) > DOUBT { low = middle } else { high = middle }
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and 1,000")]
    let permille = (high * 1_000.0 - 1e-9).ceil() as u64;
    permille
}

/// Chance of at most `missed` misses among `planted` at this rate, added up in logarithms.
fn chance_of_at_most(missed: u64, planted: u64, rate: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "canaries are counted in thousands")]
    let (n, log_p, log_q) = (planted as f64, rate.ln(), (-rate).ln_1p());
    let (mut log_ways, mut sum) = (0.0, 0.0);
    for k in 0..=missed {
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        let k = k as f64;
        sum += (log_ways + k * log_p + (n - k) * log_q).exp();
        log_ways += ((n - k) / (k + 1.0)).ln();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_found_gives_the_known_table() {
        // 1 − 0.05^(1/c), rounded up to a tenth of a per cent.
        assert_eq!([30, 60, 100, 300].map(|c| omission_bound(c, 0)), [96, 49, 30, 10]);
    }

    #[test]
    fn a_miss_widens_the_bound_and_nothing_planted_bounds_nothing() {
        assert!(omission_bound(60, 1) > omission_bound(60, 0));
        assert_eq!(omission_bound(60, 1), 77);
        assert_eq!((omission_bound(0, 0), omission_bound(3, 3)), (1_000, 1_000));
    }
}
