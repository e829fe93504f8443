use super::*;
use crate::sim::model::object::SimRetention;

fn retained(world: &mut World, mode: &str) -> String {
    let until = world.simulator.clock.now() + 3_600_000;
    let explicit = WriteAttributes {
        retention: Some(SimRetention {
            mode: mode.to_owned(),
            until,
        }),
        ..WriteAttributes::default()
    };
    world
        .put_with_attributes(VERSIONED, "x", explicit)
        .version_id
        .expect("an id")
}

fn delete(world: &mut World, id: &str, bypass_governance: bool) -> Option<SimErrorCode> {
    let delete = DeleteRequest {
        version_id: Some(id.to_owned()),
        bypass_governance,
        ..DeleteRequest::default()
    };
    code(world.simulator.delete_object(VERSIONED, &delete))
}

#[test]
fn retained_version_stays_until_its_time() {
    for (mode, bypass, expected) in [
        ("COMPLIANCE", true, Some(SimErrorCode::AccessDenied)),
        ("GOVERNANCE", false, Some(SimErrorCode::AccessDenied)),
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
    for (until, expected) in [
        (present.until - 1, Some(SimErrorCode::AccessDenied)),
        (present.until + 1, None),
    ] {
        let retention = Some(SimRetention {
            until,
            ..present.clone()
        });
        let answer = world.simulator.put_retention(VERSIONED, None, retention, true);
        assert_eq!(code(answer), expected);
    }
    let removed = world.simulator.put_retention(VERSIONED, None, None, true);
    assert_eq!(code(removed), Some(SimErrorCode::AccessDenied));
}

#[test]
fn retention_that_has_ended_is_refused() {
    let mut world = World::new();
    world.put(VERSIONED, "x");
    let now = world.simulator.clock.now();
    for (until, expected) in [(now, Some(SimErrorCode::InvalidArgument)), (now + 1, None)] {
        let retention = Some(SimRetention {
            mode: "GOVERNANCE".to_owned(),
            until,
        });
        let put = PutRequest {
            explicit: WriteAttributes {
                retention: retention.clone(),
                ..WriteAttributes::default()
            },
            ..PutRequest::default()
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
    assert_eq!(delete(&mut world, &id, true), Some(SimErrorCode::AccessDenied));
    world.simulator.put_legal_hold(VERSIONED, None, false).expect("no hold");
    assert_eq!(delete(&mut world, &id, false), None);
}
