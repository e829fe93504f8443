use super::*;
use crate::sim::model::object::Retention;

fn retained(world: &mut World, mode: &str) -> String {
    let until = world.simulator.clock.now() + 3_600_000;
    let stated = Stated {
        retention: Some(Retention {
            mode: mode.to_owned(),
            until,
        }),
        ..Stated::default()
    };
    world.put_stated(VERSIONED, "x", stated).version_id.expect("an id")
}

fn delete(world: &mut World, id: &str, bypass_governance: bool) -> Option<Code> {
    let delete = Delete {
        version_id: Some(id.to_owned()),
        bypass_governance,
        ..Delete::default()
    };
    code(world.simulator.delete_object(VERSIONED, &delete))
}

#[test]
fn retained_version_stays_until_its_time() {
    for (mode, bypass, expected) in [
        ("COMPLIANCE", true, Some(Code::AccessDenied)),
        ("GOVERNANCE", false, Some(Code::AccessDenied)),
        ("GOVERNANCE", true, None),
    ] {
        let mut world = World::new();
        let id = retained(&mut world, mode);
        assert_eq!(delete(&mut world, &id, bypass), expected, "{mode} {bypass}");
    }
    let mut world = World::new();
    let id = retained(&mut world, "COMPLIANCE");
    world.clock.advance(Duration::from_hours(2));
    assert_eq!(delete(&mut world, &id, false), None);
}

#[test]
fn retention_is_never_shortened() {
    let mut world = World::new();
    retained(&mut world, "COMPLIANCE");
    let present = world.simulator.retention(VERSIONED, None).expect("a retention");
    for (until, expected) in [(present.until - 1, Some(Code::AccessDenied)), (present.until + 1, None)] {
        let retention = Some(Retention {
            until,
            ..present.clone()
        });
        let answer = world.simulator.put_retention(VERSIONED, None, retention, true);
        assert_eq!(code(answer), expected);
    }
    let removed = world.simulator.put_retention(VERSIONED, None, None, true);
    assert_eq!(code(removed), Some(Code::AccessDenied));
}

#[test]
fn retention_that_has_ended_is_refused() {
    let mut world = World::new();
    world.put(VERSIONED, "x");
    let now = world.simulator.clock.now();
    for (until, expected) in [(now, Some(Code::InvalidArgument)), (now + 1, None)] {
        let retention = Some(Retention {
            mode: "GOVERNANCE".to_owned(),
            until,
        });
        let put = Put {
            stated: Stated {
                retention: retention.clone(),
                ..Stated::default()
            },
            ..Put::default()
        };
        assert_eq!(code(world.simulator.put_object(VERSIONED, put)), expected);
        let put = world.simulator.put_retention(VERSIONED, None, retention, false);
        assert_eq!(code(put), expected);
    }
}

#[test]
fn legal_hold_counts_beside_any_retention() {
    let mut world = World::new();
    let id = world.put(VERSIONED, "x").version_id.expect("an id");
    world.simulator.put_legal_hold(VERSIONED, None, true).expect("a hold");
    assert_eq!(delete(&mut world, &id, true), Some(Code::AccessDenied));
    world.simulator.put_legal_hold(VERSIONED, None, false).expect("no hold");
    assert_eq!(delete(&mut world, &id, false), None);
}
