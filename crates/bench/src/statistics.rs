//! Medians, spreads and ratios.

use serde::Serialize;

/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    /// Smaller values, such as of time.
    Lower,
    /// Larger values, such as of throughput.
    Higher,
}

/// Median and spread of the values of all rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Figures {
    /// Median.
    pub(crate) median: f64,
    /// Smallest value.
    pub(crate) min: f64,
    /// Largest value.
    pub(crate) max: f64,
    /// Number of rounds.
    pub(crate) rounds: usize,
}

impl Figures {
    /// Summarizes values. Returns `None` without values.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            median: percentile(&sorted, 50)?,
            min: *sorted.first()?,
            max: *sorted.last()?,
            rounds: sorted.len(),
        })
    }
}

/// Returns a percentile of sorted values, interpolated between two neighbours.
pub(crate) fn percentile(sorted: &[f64], percent: u32) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(clippy::cast_precision_loss, reason = "there are few values")]
    let position = last as f64 * f64::from(percent) / 100.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the position is an index of the values"
    )]
    let below = position.floor() as usize;
    let (low, high) = (sorted.get(below)?, sorted.get((below + 1).min(last))?);
    Some(low + (high - low) * position.fract())
}

/// Returns how many times better `s3ferry` is than `peer`; above 1 if it is better.
pub(crate) fn times_better(s3ferry: f64, peer: f64, better: Better) -> Option<f64> {
    let (dividend, divisor) = match better {
        Better::Lower => (peer, s3ferry),
        Better::Higher => (s3ferry, peer),
    };
    (divisor > 0.0 && dividend.is_finite()).then(|| dividend / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_do_not_depend_on_the_order_of_the_rounds() {
        let figures = Figures::of(&[3.0, 1.0, 10.0]).unwrap();
        assert_eq!(
            (figures.median, figures.min, figures.max, figures.rounds),
            (3.0, 1.0, 10.0, 3)
        );
        assert_eq!(Figures::of(&[10.0, 1.0, 3.0]).unwrap(), figures);
    }

    #[test]
    fn median_of_an_even_number_of_rounds_is_in_the_middle() {
        assert_eq!(percentile(&[1.0, 2.0, 3.0, 4.0], 50), Some(2.5));
    }

    #[test]
    fn no_round_has_no_figures() {
        assert_eq!(Figures::of(&[]), None);
        assert_eq!(percentile(&[], 99), None);
    }

    #[test]
    fn percentiles_reach_from_the_first_to_the_last_value() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 0), Some(0.0));
        assert_eq!(percentile(&values, 99), Some(99.0));
        assert_eq!(percentile(&values, 100), Some(100.0));
        assert_eq!(percentile(&[7.0], 99), Some(7.0));
    }

    #[test]
    fn ratio_is_above_one_if_s3ferry_is_better() {
        assert_eq!(times_better(2.0, 6.0, Better::Lower), Some(3.0));
        assert_eq!(times_better(6.0, 2.0, Better::Higher), Some(3.0));
        assert_eq!(times_better(6.0, 2.0, Better::Lower), Some(1.0 / 3.0));
    }

    #[test]
    fn ratio_to_nothing_is_unknown() {
        assert_eq!(times_better(0.0, 2.0, Better::Lower), None);
        assert_eq!(times_better(2.0, 0.0, Better::Higher), None);
    }
}
