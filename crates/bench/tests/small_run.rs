//! Every scenario of the benchmark at its smallest size, without peers: results are complete and the report has its
//! shape. No time is checked.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a broken expectation is a failed test"
)]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

fn bench(scenarios: &str, folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "--no-peers",
            "--scale",
            "0.0001",
            "--rounds",
            "1",
            "--scenario",
            scenarios,
        ])
        .arg("--output")
        .arg(folder)
        .output()
        .expect("the benchmark runs")
}

/// Returns the scenarios of a run, all of whose rows of s3ferry must be measured.
fn measured(scenarios: &str) -> Vec<Value> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = bench(scenarios, folder.path());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).expect(name);
    let (markdown, html) = (read("report.md"), read("report.html"));
    let report: Value = serde_json::from_str(&read("report.json")).expect("JSON");
    let reported = report["scenarios"].as_array().expect("scenarios").clone();
    assert_eq!(reported.len(), scenarios.split(',').count());
    for (scenario, name) in reported.iter().zip(scenarios.split(',')) {
        assert_eq!(scenario["name"], name);
        assert!(
            markdown.contains(&format!("## {name}")) && html.contains(&format!("id=\"{name}\"")),
            "{name}"
        );
        let cases = scenario["cases"].as_array().expect("cases");
        assert!(!cases.is_empty(), "{name}");
        for row in cases.iter().flat_map(|case| case["rows"].as_array().expect("rows")) {
            let expected = if row["is_s3ferry"] == true {
                "measured"
            } else {
                "unavailable"
            };
            assert_eq!(row["outcome"], expected, "{name}: {row}");
        }
    }
    reported
}

/// Returns the median of a metric in the first row.
fn median(scenario: &Value, metric: &str) -> f64 {
    let figures = &scenario["cases"][0]["rows"][0]["figures"];
    figures[metric]["median"]
        .as_f64()
        .unwrap_or_else(|| panic!("{metric}: {figures}"))
}

#[test]
fn copies_are_complete_and_counted() {
    let scenarios = measured("small-objects,saturation,scale");
    for scenario in &scenarios {
        assert!(median(scenario, "requests per object") >= 2.0, "{scenario}");
        assert!(median(scenario, "peak memory") > 1.0, "{scenario}");
    }
}

#[test]
fn equal_and_different_listings_are_recognized() {
    let scenarios = measured("no-op,diff-1m,verify");
    assert!(scenarios.iter().all(|scenario| median(scenario, "time") > 0.0));
}

#[test]
fn large_object_has_every_part_once() {
    let scenarios = measured("large-object");
    let copies = median(&scenarios[0], "copies per part");
    assert!((copies - 1.0).abs() < 1e-9, "{copies}");
}

#[test]
fn inventories_of_both_formats_differ_as_generated() {
    assert_eq!(measured("inventory")[0]["cases"].as_array().map(Vec::len), Some(2));
}

#[test]
fn functions_lose_no_event() {
    let scenarios = measured("cold-start,per-event,burst,cost");
    assert!(median(&scenarios[0], "package") > 0.1);
    assert!(median(&scenarios[1], "requests per event") >= 2.0);
    assert!(median(&scenarios[2], "lost").abs() < 1e-9);
    assert!(median(&scenarios[3], "price per million objects") > 0.0);
}

#[test]
fn unknown_scenario_is_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = bench("fastest", folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert!(!folder.path().join("report.json").exists());
}
