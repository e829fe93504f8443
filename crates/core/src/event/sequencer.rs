//! The order S3 gives to events of one key.

use std::cmp::Ordering;

/// The position of an event among the events of its key in one channel.
///
/// Classic notifications and `EventBridge` number differently; across channels there is no order.
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
    /// Takes the sequencer of a classic notification.
    #[must_use]
    pub fn classic(value: &str) -> Option<Self> {
        Self::of(Channel::Classic, value)
    }

    /// Takes the sequencer of an `EventBridge` event.
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

    /// Compares with the sequencer of another event of the same key: the shorter is padded with zeros on the right.
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
    fn channels_have_no_common_order() {
        let classic = Sequencer::classic("0055AED6DCD90281E5").unwrap();
        let bridge = Sequencer::bridge("617f08299329d189").unwrap();
        assert_eq!(classic.order(&bridge), None);
        assert_eq!(Sequencer::classic(""), None);
    }
}
