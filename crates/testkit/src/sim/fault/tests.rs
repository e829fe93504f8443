use serde_json::json;

use super::*;

fn faults(rules: &Value) -> SimFaults {
    let mut faults = SimFaults::new(1);
    faults.set(FaultRule::read_all(rules).expect("rules"));
    faults
}

fn fault_of(faults: &mut SimFaults, operation: &'static str) -> Option<SimFault> {
    faults.hit(operation).map(|hit| hit.fault)
}

#[test]
fn nth_counts_only_requests_of_its_operation() {
    let mut faults = faults(&json!([{ "operation": "PutObject", "nth": 2, "fault": "throttle" }]));
    assert_eq!(fault_of(&mut faults, "GetObject"), None);
    assert_eq!(fault_of(&mut faults, "PutObject"), None);
    assert_eq!(fault_of(&mut faults, "GetObject"), None);
    assert_eq!(fault_of(&mut faults, "PutObject"), Some(SimFault::Throttle));
    assert_eq!(fault_of(&mut faults, "PutObject"), None);
}

#[test]
fn times_limits_how_often_a_rule_fires() {
    let rule = json!([{ "operation": "PutObject", "probability": 1.0, "fault": "reset", "times": 2 }]);
    let mut faults = faults(&rule);
    let all: Vec<_> = (0..4).map(|_| fault_of(&mut faults, "PutObject")).collect();
    assert_eq!(all, [Some(SimFault::Reset), Some(SimFault::Reset), None, None]);
}

#[test]
fn invalid_rule_is_rejected_with_the_name_of_its_field() {
    let refused = |rule: Value| FaultRule::read_all(&json!([rule])).expect_err("refused").field;
    assert_eq!(
        refused(json!({ "operation": "PutObjects", "nth": 1, "fault": "slow" })),
        "operation"
    );
    assert_eq!(
        refused(json!({ "operation": "PutObject", "nth": 1, "fault": "slwo" })),
        "fault"
    );
    assert_eq!(refused(json!({ "operation": "PutObject", "fault": "slow" })), "nth");
    let both = json!({ "operation": "PutObject", "nth": 1, "probability": 0.5, "fault": "slow" });
    assert_eq!(refused(both), "nth");
    let outside = json!({ "operation": "PutObject", "probability": 1.5, "fault": "slow" });
    assert_eq!(refused(outside), "probability");
    let read = json!({ "operation": "GetObject", "nth": 1, "fault": "ok-with-error" });
    assert_eq!(refused(read), "operation");
}
