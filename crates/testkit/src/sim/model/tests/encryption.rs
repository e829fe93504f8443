use super::*;
use crate::sim::model::bucket::ACCOUNT;
use crate::sim::model::object::SimEncryption;

fn key(account: &str) -> String {
    format!("arn:aws:kms:us-east-1:{account}:key/12ab")
}

fn kms(algorithm: &str) -> WriteAttributes {
    WriteAttributes {
        encryption: Some(SimEncryption::Kms {
            algorithm: algorithm.to_owned(),
            key: Some("old".to_owned()),
            bucket_key: false,
        }),
        ..WriteAttributes::default()
    }
}

#[test]
fn update_changes_the_key_and_nothing_else() {
    for explicit in [WriteAttributes::default(), kms("aws:kms")] {
        let mut fixture = SimFixture::new();
        let before = fixture.put_with_attributes(VERSIONED, "x", explicit);
        fixture.clock.advance(Duration::from_secs(5));
        let id = before.version_id.as_deref();
        let updated = fixture.simulator.update_encryption(VERSIONED, id, &key(ACCOUNT), true);
        assert_eq!(code(updated), None);
        let bucket = fixture.simulator.bucket(VERSIONED.bucket).expect("the bucket");
        let (version, object) = bucket.read(VERSIONED.key, None).expect("the object");
        assert_eq!(
            (Some(version.id.as_str()), version.last_modified, &object.etag),
            (id, before.last_modified, &before.object.etag)
        );
        let expected = SimEncryption::Kms {
            algorithm: "aws:kms".to_owned(),
            key: Some(key(ACCOUNT)),
            bucket_key: true,
        };
        assert_eq!(object.encryption(), &expected);
    }
}

#[test]
fn update_is_rejected_for_dsse_held_objects_and_other_keys() {
    let held = WriteAttributes {
        legal_hold: Some(true),
        ..WriteAttributes::default()
    };
    for (explicit, key, expected) in [
        (kms("aws:kms:dsse"), key(ACCOUNT), SimErrorCode::InvalidRequest),
        (
            WriteAttributes::default(),
            "alias/mine".to_owned(),
            SimErrorCode::InvalidRequest,
        ),
        (held, key(ACCOUNT), SimErrorCode::AccessDenied),
        (
            WriteAttributes::default(),
            key("999999999999"),
            SimErrorCode::AccessDenied,
        ),
    ] {
        let mut fixture = SimFixture::new();
        fixture.put_with_attributes(VERSIONED, "x", explicit);
        let refused = fixture.simulator.update_encryption(VERSIONED, None, &key, false);
        assert_eq!(code(refused), Some(expected), "{key}");
    }
    let absent = SimFixture::new()
        .simulator
        .update_encryption(VERSIONED, None, &key(ACCOUNT), false);
    assert_eq!(code(absent), Some(SimErrorCode::NoSuchKey));
}

#[test]
fn expected_owner_must_own_the_bucket() {
    let fixture = SimFixture::new();
    let check = |bucket: &str, owner: Option<&str>| code(fixture.simulator.check_owner(bucket, owner));
    assert_eq!(check(PLAIN.bucket, None), None);
    assert_eq!(check(PLAIN.bucket, Some(ACCOUNT)), None);
    assert_eq!(
        check(PLAIN.bucket, Some("999999999999")),
        Some(SimErrorCode::AccessDenied)
    );
    // Another check returns NoSuchBucket for a missing bucket.
    assert_eq!(check("no-bucket", Some("999999999999")), None);
}
