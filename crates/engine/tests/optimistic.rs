//! The reconcile of a key that only the source lists: it copies first, and ends as a reconcile with reads before.
#![expect(clippy::unwrap_used, reason = "the test created the data")]

mod world;

use std::collections::BTreeMap;

use proptest::prelude::*;
use s3ferry_core::acl::{Acl, Grant, Grantee};
use s3ferry_core::bucket_settings::BucketObjectLock;
use s3ferry_core::facts::{AttributeSet, Availability, Encryption, KmsEncryption, ObjectFacts, ReplicationStatus};
use s3ferry_core::failure::FailureKind;
use s3ferry_core::listing::{ListedObject, StorageClassName};
use s3ferry_core::outcome::{Outcome, ReconcileReport};
use s3ferry_core::policy::{AclRule, Policy, StorageClassRule};
use s3ferry_testkit::faults::{FaultScript, PortCall, PortFault, failure};
use s3ferry_testkit::memory::MemoryBucket;
use world::{KEY, TestWorld, key};

/// Lists the source's object.
fn listed(world: &TestWorld) -> ListedObject {
    let facts = world.source.facts(KEY).unwrap();
    ListedObject {
        key: key(KEY),
        size_bytes: facts.size_bytes,
        etag: Some(facts.etag),
        last_modified: facts.last_modified,
        storage_class: StorageClassName::new(&facts.storage_class),
    }
}

async fn reconcile_listed(world: &TestWorld, listed: &ListedObject) -> ReconcileReport {
    let reconciler = world.reconciler();
    let deadline = reconciler.clock.far_future();
    reconciler
        .reconcile_listed(listed, &AttributeSet::new(), deadline)
        .await
}

/// Returns buckets whose source has one object, written an hour before now.
fn world(is_versioned: bool, change: impl FnOnce(&mut ObjectFacts)) -> TestWorld {
    let source = if is_versioned {
        MemoryBucket::versioned()
    } else {
        MemoryBucket::unversioned()
    };
    let world = TestWorld::of(source, MemoryBucket::versioned());
    world.source.put_with(KEY, "one", change);
    world.source.pass_seconds(3_600);
    world.destination.pass_seconds(3_600);
    world
}

#[track_caller]
fn assert_requests(world: &TestWorld, expected: [u32; 3]) {
    let calls = [PortCall::SourceRead, PortCall::DestinationRead, PortCall::Copy];
    assert_eq!(calls.map(|call| world.script.count(call)), expected);
}

#[tokio::test(start_paused = true)]
async fn plain_object_takes_one_copy_and_one_read() {
    for is_versioned in [false, true] {
        let world = world(is_versioned, |_| ());
        let report = reconcile_listed(&world, &listed(&world)).await;
        assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
        assert_eq!(
            (report.passes, report.progress, report.outcome_unknown),
            (1, true, false)
        );
        assert_requests(&world, [1, 0, 1]);
        world.assert_equal();
    }
}

#[tokio::test(start_paused = true)]
async fn object_with_tags_takes_one_more_read_of_each_side() {
    let world = world(true, |facts| {
        facts.tags = Some(BTreeMap::from([("stage".into(), "live".into())]));
    });
    let report = reconcile_listed(&world, &listed(&world)).await;
    assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
    assert_requests(&world, [2, 1, 1]);
    world.assert_equal();
}

#[tokio::test(start_paused = true)]
async fn object_that_must_be_read_first_is_read_first() {
    let policies = [
        Policy {
            acl: AclRule::Copy,
            ..Policy::default()
        },
        Policy {
            kms_keys: [("arn:source".to_owned(), "arn:destination".to_owned())].into(),
            ..Policy::default()
        },
    ];
    for policy in policies {
        let mut world = world(true, |_| ());
        world.policy = policy;
        reconcile_listed(&world, &listed(&world)).await;
        assert_requests(&world, [2, 1, 1]);
    }
    let world = world(true, |_| ());
    let rows = [
        ListedObject {
            etag: None,
            ..listed(&world)
        },
        ListedObject {
            storage_class: StorageClassName::UNKNOWN,
            ..listed(&world)
        },
    ];
    for row in rows {
        let world = self::world(true, |_| ());
        reconcile_listed(&world, &row).await;
        assert_requests(&world, [2, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn redirect_is_copied_again_with_the_redirect() {
    let world = world(true, |facts| facts.website_redirect = Some("/moved".to_owned()));
    let report = reconcile_listed(&world, &listed(&world)).await;
    assert!(matches!(report.outcome, Outcome::Copied { .. }), "{report:?}");
    let copy = world.destination.facts(KEY).unwrap();
    assert_eq!(copy.website_redirect.as_deref(), Some("/moved"));
}

/// Sources that a copy resets, refuses or reports, each with a policy.
fn variant() -> impl Strategy<Value = (ObjectFacts, bool, AclRule, bool, bool)> {
    let facts = (
        prop::option::weighted(0.2, Just("/moved".to_owned())),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.2),
        prop::sample::select(vec!["STANDARD", "STANDARD_IA", "GLACIER", "INTELLIGENT_TIERING"]),
        0u32..2,
    );
    let facts = facts.prop_map(|(redirect, archived, kms, customer, pending, tagged, class, missing)| {
        let bucket = MemoryBucket::versioned();
        bucket.put_with(KEY, "one", |_| ());
        let mut facts = bucket.facts(KEY).unwrap();
        facts.website_redirect = redirect;
        if archived || class == "GLACIER" {
            facts.availability = Availability::Archived;
        }
        if kms {
            facts.encryption = Encryption::Kms(KmsEncryption {
                key_arn: Some("arn:aws:kms:us-east-1:123456789012:key/a".to_owned()),
                bucket_key: false,
                dual_layer: false,
            });
        }
        if customer {
            facts.encryption = Encryption::CustomerKey;
        }
        if pending {
            facts.replication_status = Some(ReplicationStatus::Pending);
        }
        class.clone_into(&mut facts.storage_class);
        facts.missing_metadata = missing;
        facts.tags = tagged.then(|| BTreeMap::from([("stage".into(), "live".into())]));
        facts
    });
    (
        facts,
        any::<bool>(),
        prop::sample::select(vec![AclRule::Copy, AclRule::Ignore]),
        any::<bool>(),
        any::<bool>(),
    )
}

proptest! {
    #[test]
    fn listed_reconcile_ends_as_one_that_reads_first(
        (facts, is_versioned, acl, fixed_class, locks) in variant()
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let make = || {
                let mut world = world(is_versioned, |stored| {
                    let (version_id, last_modified) = (stored.version_id.clone(), stored.last_modified);
                    *stored = facts.clone();
                    (stored.version_id, stored.last_modified) = (version_id, last_modified);
                    stored.acl = Some(Acl { grants: [Grant {
                        grantee: Grantee::Account("owner".to_owned()),
                        permission: "READ".to_owned(),
                    }].into() });
                });
                world.policy.acl = acl;
                if fixed_class {
                    world.policy.storage_class = StorageClassRule::Fixed("STANDARD_IA".to_owned());
                }
                if locks {
                    world.destination.enable_object_lock(BucketObjectLock::default());
                }
                world
            };
            let (first, second) = (make(), make());
            let row = listed(&first);
            let report = reconcile_listed(&first, &row).await;
            let expected = second.reconcile().await;
            prop_assert_eq!(report.outcome.as_str(), expected.outcome.as_str());
            prop_assert_eq!(report.not_preserved, expected.not_preserved);
            prop_assert_eq!(first.destination.snapshot(), second.destination.snapshot());
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn faults_of_the_copy_and_its_read_leave_no_wrong_result() {
    let faults = || {
        [
            PortFault::Fails(failure(FailureKind::Retry)),
            PortFault::Fails(failure(FailureKind::Permanent)),
            PortFault::ResponseLost,
            PortFault::RequestLost,
        ]
    };
    for call in [PortCall::Copy, PortCall::SourceRead] {
        for fault in faults() {
            let script = FaultScript::default().on(call, 1, fault.clone());
            let world = world(true, |_| ()).with_script(script);
            let report = reconcile_listed(&world, &listed(&world)).await;
            match &report.outcome {
                Outcome::Copied { .. } | Outcome::Skipped(_) => world.assert_equal(),
                Outcome::Failed(_) => assert_eq!(call, PortCall::SourceRead, "{fault:?}: {report:?}"),
                other => panic!("{call:?} {fault:?}: {other:?}"),
            }
        }
    }
}

/// Reconciles a listed object while `act` happens directly before or after the copy, or before the read.
async fn interfered(act: impl Fn(&TestWorld) + Send + Sync + Clone + 'static) {
    for is_versioned in [false, true] {
        for moment in 0..3 {
            let quiet = world(is_versioned, |_| ());
            let (acting, act) = (quiet.clone(), act.clone());
            let act = move || act(&acting);
            let script = FaultScript::default();
            let script = match moment {
                0 => script.on(PortCall::Copy, 1, PortFault::before(act)),
                1 => script.on(PortCall::Copy, 1, PortFault::after(act)),
                _ => script.on(PortCall::SourceRead, 1, PortFault::before(act)),
            };
            let row = listed(&quiet);
            let world = quiet.with_script(script);
            let report = reconcile_listed(&world, &row).await;
            assert!(
                !matches!(report.outcome, Outcome::Failed(_) | Outcome::Deferred(_)),
                "{report:?}"
            );
            world.assert_equal();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn source_that_changes_around_the_copy_is_copied_again() {
    interfered(|world| {
        world.source.put(KEY, "two");
    })
    .await;
    interfered(|world| {
        world.source.put_with(KEY, "one", |facts| {
            facts.user_metadata = [("owner".to_owned(), "team b".to_owned())].into();
        });
    })
    .await;
    interfered(|world| world.source.tag(KEY, &[("stage", "live")])).await;
}

#[tokio::test(start_paused = true)]
async fn source_that_is_deleted_around_the_copy_is_deleted() {
    interfered(|world| world.source.delete(KEY)).await;
}

#[tokio::test(start_paused = true)]
async fn destination_that_is_written_before_the_copy_is_read() {
    interfered(|world| {
        if world.destination.facts(KEY).is_none() {
            world.destination.put(KEY, "one");
        }
    })
    .await;
}
