use proptest::prelude::*;

use super::*;

type Rule = ReplicationRule<String>;
type Configuration = ReplicationConfiguration<String>;

fn owner(name: &str) -> OwnerId {
    OwnerId::new(name, "BucketWiring")
}

fn desired(role: &str, prefix: &str) -> DesiredReplication {
    DesiredReplication {
        role_arn: role.to_owned(),
        terms: ReplicationTerms {
            prefix: prefix.to_owned(),
            destination_arn: "arn:aws:s3:::destination".to_owned(),
            replicates_deletes: false,
            enabled: true,
            metrics: true,
            kms_key_arn: None,
        },
    }
}

fn compose(id: &str, priority: i32, terms: &ReplicationTerms) -> String {
    format!("{id} {priority} {}", terms.prefix)
}

fn rule(id: &str, priority: Option<i32>) -> Rule {
    ReplicationRule {
        id: Some(id.to_owned()),
        priority,
        has_filter: priority.is_some(),
        terms: None,
        payload: format!("foreign {id}"),
    }
}

fn configuration(role: &str, rules: Vec<Rule>) -> Configuration {
    ReplicationConfiguration {
        role: role.to_owned(),
        rules,
    }
}

fn merged(
    current: Option<&Configuration>,
    name: &str,
    desired: &DesiredReplication,
) -> Result<Configuration, WiringRefusal> {
    merge(current, &owner(name), desired, compose)
}

#[test]
fn first_rule_sets_the_role_and_its_removal_removes_the_configuration() {
    let made = merged(None, "a", &desired("own", "p/")).unwrap();
    assert_eq!(made.role, "own");
    assert_eq!(made.rules[0].priority, Some(1));
    assert_eq!(made.rules[0].payload, format!("{} 1 p/", owner("a")));
    assert_eq!(remove_own(Some(&made), &owner("a")), None);
    assert_eq!(remove_own::<String>(None, &owner("a")), None);
}

#[test]
fn priority_is_above_all_others_and_unchanged_by_updates() {
    let current = configuration("shared", vec![rule("x", Some(7)), rule("y", Some(3))]);
    let once = merged(Some(&current), "a", &desired("shared", "p/")).unwrap();
    assert_eq!(once.rules[2].priority, Some(8));
    let mut later = once.clone();
    later.rules.push(rule("z", Some(20)));
    let twice = merged(Some(&later), "a", &desired("shared", "q/")).unwrap();
    assert_eq!(twice.rules[2].priority, Some(8));
    assert_eq!(twice.rules[2].payload, format!("{} 8 q/", owner("a")));
    let full = configuration("shared", vec![rule("x", Some(i32::MAX)), rule("y", Some(i32::MAX - 1))]);
    let squeezed = merged(Some(&full), "a", &desired("shared", "")).unwrap();
    assert_eq!(squeezed.rules[2].priority, Some(i32::MAX - 2));
}

#[test]
fn other_role_is_refused_if_other_rules_exist() {
    let current = configuration("existing", vec![rule("x", Some(1))]);
    assert_eq!(
        merged(Some(&current), "a", &desired("own", "")),
        Err(WiringRefusal::OtherReplicationRole {
            current: "existing".to_owned(),
            wanted: "own".to_owned(),
            rules: vec!["x".to_owned()],
        })
    );
    assert!(merged(Some(&current), "a", &desired("existing", "")).is_ok());
    let own = merged(None, "a", &desired("before", "")).unwrap();
    assert_eq!(merged(Some(&own), "a", &desired("after", "")).unwrap().role, "after");
}

#[test]
fn v1_rules_are_refused() {
    let current = configuration("role", vec![rule("old", None)]);
    assert_eq!(
        merged(Some(&current), "a", &desired("role", "")),
        Err(WiringRefusal::OldReplicationRules {
            rules: vec!["old".to_owned()]
        })
    );
    assert_eq!(remove_own(Some(&current), &owner("a")), Some(current));
}

#[test]
fn unchanged_rule_stays_in_s3_spelling() {
    let mut made = merged(None, "a", &desired("own", "p/")).unwrap();
    made.rules[0].payload = "as S3 spells it".to_owned();
    assert_eq!(merged(Some(&made), "a", &desired("own", "p/")), Ok(made.clone()));
    made.rules[0].terms.as_mut().unwrap().enabled = false;
    let restored = merged(Some(&made), "a", &desired("own", "p/")).unwrap();
    assert_eq!(restored.rules[0].terms, Some(desired("own", "p/").terms));
}

fn any_configuration() -> impl Strategy<Value = Option<Configuration>> {
    let rules = prop::collection::btree_map("[a-z]{1,5}", any::<i32>(), 1..5);
    let filled = (prop::sample::select(vec!["r1", "r2"]), rules).prop_map(|(role, rules)| {
        configuration(
            role,
            rules.iter().map(|(id, priority)| rule(id, Some(*priority))).collect(),
        )
    });
    prop::option::of(filled)
}

fn any_desired() -> impl Strategy<Value = DesiredReplication> {
    (prop::sample::select(vec!["r1", "r2"]), "[ab/]{0,2}").prop_map(|(role, prefix)| desired(role, &prefix))
}

proptest! {
    #[test]
    fn removal_after_merge_restores_the_original(current in any_configuration(), wanted in any_desired()) {
        if let Ok(once) = merged(current.as_ref(), "a", &wanted) {
            prop_assert_eq!(merged(Some(&once), "a", &wanted), Ok(once.clone()));
            prop_assert_eq!(remove_own(Some(&once), &owner("a")), current);
        }
    }

    #[test]
    fn two_owners_do_not_affect_each_other(
        current in any_configuration(), one_desired in any_desired(), other_desired in any_desired(),
        one_leaves_first: bool,
    ) {
        let (one, other) = (owner("a"), owner("b"));
        if let Ok(with_one) = merged(current.as_ref(), "a", &one_desired)
            && let Ok(with_both) = merged(Some(&with_one), "b", &other_desired)
        {
            prop_assert_eq!(with_both.own(&one), with_one.own(&one));
            prop_assert_ne!(with_both.own(&one).unwrap().priority, with_both.own(&other).unwrap().priority);
            let (first, second) = if one_leaves_first { (&one, &other) } else { (&other, &one) };
            let one_left = remove_own(Some(&with_both), first);
            prop_assert_eq!(one_left.as_ref().unwrap().own(second), with_both.own(second));
            prop_assert_eq!(remove_own(one_left.as_ref(), second), current);
        }
    }

    #[test]
    fn priorities_are_unique(priorities in prop::collection::hash_set(any::<i32>(), 1..6)) {
        let rules = priorities.iter().map(|priority| rule("x", Some(*priority))).collect();
        let once = merged(Some(&configuration("r", rules)), "a", &desired("r", "")).unwrap();
        let own = once.own(&owner("a")).unwrap().priority.unwrap();
        prop_assert!(own >= 0 && !priorities.contains(&own));
    }
}
