use super::*;

fn row(tool: &str, is_s3ferry: bool, seconds: &[f64], throughput: &[f64]) -> ReportRow {
    let figures = [(TIME.name, seconds), (THROUGHPUT.name, throughput)];
    ReportRow {
        tool: tool.to_owned(),
        settings: String::new(),
        is_s3ferry,
        outcome: RowOutcome::Measured {
            figures: figures
                .into_iter()
                .map(|(name, values)| (name, Figures::of(values).unwrap()))
                .collect(),
            ratios: BTreeMap::new(),
        },
    }
}

fn failed(tool: &str, is_s3ferry: bool) -> ReportRow {
    ReportRow {
        tool: tool.to_owned(),
        settings: String::new(),
        is_s3ferry,
        outcome: RowOutcome::Failed {
            reason: "<no> region".to_owned(),
        },
    }
}

fn case() -> CaseReport {
    let rows = vec![
        row("fast", false, &[1.0, 1.0, 1.0], &[30.0]),
        row("s3ferry", true, &[2.0, 3.0, 2.0], &[15.0]),
        row("slow", false, &[8.0], &[5.0]),
        failed("broken", false),
    ];
    CaseReport::new("64 in flight", &[TIME, THROUGHPUT], rows)
}

fn report(cases: Vec<CaseReport>) -> BenchReport {
    BenchReport {
        version: "0.1.0",
        command: "make bench".to_owned(),
        cpus: 2,
        rounds: 3,
        scale: 1.0,
        elapsed_seconds: 1.0,
        scenarios: vec![ScenarioReport {
            name: "small-objects",
            setting: "some objects".to_owned(),
            metrics: vec![TIME, THROUGHPUT],
            goals: Vec::new(),
            notes: vec!["a note".to_owned()],
            cases,
        }],
    }
}

#[test]
fn ratios_compare_medians_with_the_row_of_s3ferry() {
    let case = case();
    let ratios: Vec<_> = case
        .rows
        .iter()
        .map(|row| (row.ratio(TIME), row.ratio(THROUGHPUT)))
        .collect();
    assert_eq!(
        ratios,
        [
            (Some(0.5), Some(0.5)),
            (Some(1.0), Some(1.0)),
            (Some(4.0), Some(3.0)),
            (None, None)
        ]
    );
}

#[test]
fn goal_is_measured_against_the_best_peer() {
    let goal = |limit| Goal {
        metric: TIME,
        limit,
        case: None,
    };
    let reached = |limit| {
        let results = goal(limit).results(&[case()]);
        let result = results.first().unwrap();
        (result.measured, result.reached)
    };
    assert_eq!(reached(GoalLimit::BestPeer(1.0)), (Some(0.5), Some(false)));
    assert_eq!(reached(GoalLimit::Peer("slow", 4.0)), (Some(4.0), Some(true)));
    assert_eq!(reached(GoalLimit::Peer("broken", 1.0)), (None, None));
    assert_eq!(reached(GoalLimit::AtMost(2.0)), (Some(2.0), Some(true)));
}

#[test]
fn goal_of_another_case_is_not_measured() {
    let goal = Goal {
        metric: TIME,
        limit: GoalLimit::BestPeer(1.0),
        case: Some("defaults"),
    };
    assert!(goal.results(&[case()]).is_empty());
}

#[test]
fn only_failures_of_s3ferry_fail_the_benchmark() {
    assert!(report(vec![case()]).failures_of_s3ferry().is_empty());
    let failing = CaseReport::new("1", &[TIME], vec![failed("s3ferry", true)]);
    let failures = report(vec![failing]).failures_of_s3ferry();
    assert_eq!(failures, ["small-objects, 1: s3ferry : failed: <no> region"]);
}

#[test]
fn both_documents_show_every_row() {
    let report = report(vec![case()]);
    let (markdown, html) = (markdown::render(&report), html::render(&report));
    for text in [
        "s3ferry",
        "fast",
        "slow",
        "broken",
        "64 in flight",
        "a note",
        "make bench",
    ] {
        assert!(markdown.contains(text) && html.contains(text), "{text}");
    }
    assert!(markdown.contains("4.00 x"), "{markdown}");
    assert!(html.contains("&lt;no&gt; region") && !html.contains("<no>"), "{html}");
    for outside in ["http://", "https://", "<script", "<link"] {
        assert!(!html.contains(outside), "{outside}");
    }
}

#[test]
fn numbers_have_about_three_digits() {
    let numbers = [0.0, 0.0123, 1.234, 12.34, 1234.5].map(number);
    assert_eq!(numbers, ["0", "0.0123", "1.23", "12.3", "1234"]);
}
