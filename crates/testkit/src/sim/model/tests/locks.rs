use super::*;
use crate::sim::model::object::SimRetention;

fn retained(fixture: &mut SimFixture, mode: &str) -> String {
    let until = fixture.simulator.clock.now() + 3_600_000;
    let explicit = WriteAttributes {
        retention: Some(SimRetention {
            mode: mode.to_owned(),
            until,
        }),
        ..WriteAttributes::default()
    };
    fixture
        .put_with_attributes(VERSIONED, "x", explicit)
        .version_id
        .expect("an id")
}

fn delete(fixture: &mut SimFixture, id: &str, bypass_governance: bool) -> Option<SimErrorCode> {
    let delete = DeleteRequest {
        version_id: Some(id.to_owned()),
        bypass_governance,
        ..DeleteRequest::default()
    };
    code(fixture.simulator.delete_object(VERSIONED, &delete))
}

#[test]
fn retained_version_cannot_be_deleted_before_its_retention_ends() {
    for (mode, bypass, expected) in [
        ("COMPLIANCE", true, Some(SimErrorCode::AccessDenied)),
        ("GOVERNANCE", false, Some(SimErrorCode::AccessDenied)),
        ("GOVERNANCE", true, None),
    ] {
        let mut fixture = SimFixture::new();
        let id = retained(&mut fixture, mode);
        assert_eq!(delete(&mut fixture, &id, bypass), expected, "{mode} {bypass}");
    }
    let mut fixture = SimFixture::new();
    let id = retained(&mut fixture, "COMPLIANCE");
    fixture.clock.advance(Duration::from_hours(2));
    assert_eq!(delete(&mut fixture, &id, false), None);
}

#[test]
fn retention_cannot_be_shortened_in_compliance_mode() {
    let mut fixture = SimFixture::new();
    retained(&mut fixture, "COMPLIANCE");
    let present = fixture.simulator.retention(VERSIONED, None).expect("a retention");
    for (until, expected) in [
        (present.until - 1, Some(SimErrorCode::AccessDenied)),
        (present.until + 1, None),
    ] {
        let retention = Some(SimRetention {
            until,
            ..present.clone()
        });
        let answer = fixture.simulator.put_retention(VERSIONED, None, retention, true);
        assert_eq!(code(answer), expected);
    }
    let removed = fixture.simulator.put_retention(VERSIONED, None, None, true);
    assert_eq!(code(removed), Some(SimErrorCode::AccessDenied));
}

#[test]
fn retention_in_the_past_is_rejected() {
    let mut fixture = SimFixture::new();
    fixture.put(VERSIONED, "x");
    let now = fixture.simulator.clock.now();
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
        assert_eq!(code(fixture.simulator.put_object(VERSIONED, put)), expected);
        let put = fixture.simulator.put_retention(VERSIONED, None, retention, false);
        assert_eq!(code(put), expected);
    }
}

#[test]
fn legal_hold_applies_in_addition_to_retention() {
    let mut fixture = SimFixture::new();
    let id = fixture.put(VERSIONED, "x").version_id.expect("an id");
    fixture.simulator.put_legal_hold(VERSIONED, None, true).expect("a hold");
    assert_eq!(delete(&mut fixture, &id, true), Some(SimErrorCode::AccessDenied));
    fixture
        .simulator
        .put_legal_hold(VERSIONED, None, false)
        .expect("no hold");
    assert_eq!(delete(&mut fixture, &id, false), None);
}
