//! Decides which messages of a queue are acknowledged.

use std::collections::BTreeSet;

use crate::event::MessageId;

/// Returns the messages to redeliver: all except those whose records are all durable.
///
/// `parts` contains one entry per record of each message, or one for a message without records. A message with one
/// failed record is never acknowledged because of its other records. Each id is returned once, in the order of the
/// messages.
#[must_use]
pub fn to_redeliver<'a>(parts: impl IntoIterator<Item = (&'a MessageId, bool)>) -> Vec<&'a MessageId> {
    let mut seen = BTreeSet::new();
    parts
        .into_iter()
        .filter(|(_, durable)| !durable)
        .map(|(id, _)| id)
        .filter(|id| seen.insert(*id))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn id(number: u8) -> MessageId {
        MessageId::new(format!("m{number}")).unwrap()
    }

    #[test]
    fn message_with_one_failed_record_is_redelivered_once() {
        let (first, second) = (id(1), id(2));
        let parts = [(&first, true), (&first, false), (&first, false), (&second, true)];
        assert_eq!(to_redeliver(parts), [&first]);
        assert!(to_redeliver([]).is_empty());
    }

    proptest! {
        #[test]
        fn exactly_the_messages_with_a_failure_are_redelivered(
            parts in prop::collection::vec((0u8..6, any::<bool>()), 0..30),
        ) {
            let parts: Vec<(MessageId, bool)> =
                parts.into_iter().map(|(number, durable)| (id(number), durable)).collect();
            let mut all_durable: BTreeMap<&MessageId, bool> = BTreeMap::new();
            for (id, durable) in &parts {
                *all_durable.entry(id).or_insert(true) &= durable;
            }
            let redelivered = to_redeliver(parts.iter().map(|(id, durable)| (id, *durable)));
            let expected: BTreeSet<&MessageId> =
                all_durable.into_iter().filter(|(_, durable)| !durable).map(|(id, _)| id).collect();
            prop_assert_eq!(redelivered.len(), expected.len());
            prop_assert_eq!(redelivered.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
