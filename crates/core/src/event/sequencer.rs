//! Order of the events of one key.

use std::cmp::Ordering;

/// Sequencer of an event: its position among the events of its key in one channel.
///
/// S3 event notifications and `EventBridge` use different sequencers. Across channels there is no order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequencer {
    channel: Channel,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Channel {
    Classic,
    Bridge,
}

impl Sequencer {
    /// Returns the sequencer of an S3 event notification.
    #[must_use]
    pub fn classic(value: &str) -> Option<Self> {
        Self::of(Channel::Classic, value)
    }

    /// Returns the sequencer of an `EventBridge` event.
    #[must_use]
    pub fn bridge(value: &str) -> Option<Self> {
        Self::of(Channel::Bridge, value)
    }

    fn of(channel: Channel, value: &str) -> Option<Self> {
        (!value.is_empty()).then(|| Self {
            channel,
            value: value.to_owned(),
        })
    }

    /// Compares the sequencers of two events of the same key. The shorter one is padded with zeros on the right.
    ///
    /// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html>
    #[must_use]
    pub fn order(&self, other: &Self) -> Option<Ordering> {
        if self.channel != other.channel {
            return None;
        }
        let width = self.value.len().max(other.value.len());
        let padded = |value: &str| format!("{value:0<width$}");
        Some(padded(&self.value).cmp(&padded(&other.value)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shorter_sequencer_is_padded_on_the_right() {
        let classic = |value| Sequencer::classic(value).unwrap();
        let order = |one, other| classic(one).order(&classic(other));
        assert_eq!(order("0055AED6DCD90281E5", "0055AED6DCD90281E6"), Some(Ordering::Less));
        assert_eq!(order("0055AED6DCD90281E5", "0055AED6DCD90281E5"), Some(Ordering::Equal));
        assert_eq!(order("0055", "005500"), Some(Ordering::Equal));
        assert_eq!(order("0056", "005500"), Some(Ordering::Greater));
    }

    #[test]
    fn sequencers_of_different_channels_have_no_order() {
        let classic = Sequencer::classic("0055AED6DCD90281E5").unwrap();
        let bridge = Sequencer::bridge("617f08299329d189").unwrap();
        assert_eq!(classic.order(&bridge), None);
        assert_eq!(Sequencer::classic(""), None);
    }
}
