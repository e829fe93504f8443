//! A simulator with a source and a destination bucket, and the CLI run against it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use s3ferry_testkit::sim::latency::SimLatency;
use s3ferry_testkit::sim::model::content::SimContent;
use s3ferry_testkit::sim::model::delete::DeleteRequest;
use s3ferry_testkit::sim::model::object::WriteAttributes;
use s3ferry_testkit::sim::model::put::PutRequest;
use s3ferry_testkit::sim::model::simulator::WriteTarget;
use s3ferry_testkit::sim::{ServerOptions, SimServer};
use s3ferry_tests::waiting::{PollResult, until};
use s3ferry_tests::{DESTINATION_REGION, SOURCE_REGION, tools};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

pub(crate) const SOURCE: &str = "cli-source";
pub(crate) const DESTINATION: &str = "cli-destination";
pub(crate) const STATE: &str = "cli-state";

/// A simulator and a folder to work in.
pub(crate) struct Stage {
    pub(crate) server: SimServer,
    folder: TempDir,
}

/// How a run of the CLI ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The lines of standard output, which are JSON.
    pub(crate) fn json(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).expect("a line of JSON");
        self.stdout.lines().map(parse).collect()
    }

    /// The last line of standard output.
    pub(crate) fn summary(&self) -> Value {
        let summary = self.json().pop().unwrap_or_else(|| panic!("no output: {self:?}"));
        assert_eq!(summary["type"], "summary", "{self:?}");
        summary
    }

    /// Key and differences of every line but the summary.
    pub(crate) fn differences(&self) -> BTreeMap<String, Vec<String>> {
        let differences = self.json().into_iter().filter(|line| line["type"] == "difference");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        differences
            .map(|line| {
                let kinds = line["differences"].as_array().expect("a list");
                (text(&line["key"]), kinds.iter().map(text).collect())
            })
            .collect()
    }

    #[track_caller]
    pub(crate) fn must_end_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with_latency(0).await
    }

    pub(crate) async fn with_latency(request_ms: u64) -> Self {
        let options = ServerOptions {
            latency: SimLatency {
                request: Duration::from_millis(request_ms),
                ..SimLatency::default()
            },
            ..ServerOptions::default()
        };
        let server = SimServer::start(options).await.expect("the simulator starts");
        server
            .make_versioned_buckets([
                (SOURCE, SOURCE_REGION),
                (DESTINATION, DESTINATION_REGION),
                (STATE, SOURCE_REGION),
            ])
            .expect("the buckets are made");
        Self {
            server,
            folder: TempDir::new().expect("a folder"),
        }
    }

    /// Waits until an operation was asked for so often.
    pub(crate) async fn until_requested(&self, operation: &str, times: u64) {
        until(operation, Duration::from_mins(1), || {
            let seen = self.server.requests().get(operation).copied().unwrap_or_default();
            async move { Ok(PollResult::when(seen >= times, || format!("{seen} requests"))) }
        })
        .await
        .expect(operation);
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn put(&self, bucket: &str, key: &str, content: &str) {
        self.put_with(bucket, key, content, |_| ());
    }

    pub(crate) fn put_with(&self, bucket: &str, key: &str, content: &str, change: impl FnOnce(&mut WriteAttributes)) {
        let mut put = Self::plain(content);
        change(&mut put.explicit);
        let written = self.server.model().put_object(WriteTarget { bucket, key }, put);
        written.expect("the object is written");
    }

    /// An object with nothing but content.
    pub(crate) fn plain(content: &str) -> PutRequest {
        PutRequest {
            content: SimContent::from(content.to_owned()),
            ..PutRequest::default()
        }
    }

    pub(crate) fn both(&self, key: &str, content: &str) {
        self.put(SOURCE, key, content);
        self.put(DESTINATION, key, content);
    }

    /// Counts a bucket's current objects.
    pub(crate) fn objects(&self, bucket: &str) -> usize {
        let model = self.server.model();
        let bucket = model.bucket(bucket).expect("the bucket");
        let current = bucket.keys.keys().filter(|key| bucket.current_object(key).is_some());
        current.count()
    }

    pub(crate) fn delete(&self, bucket: &str, key: &str) {
        let deleted = self
            .server
            .model()
            .delete_object(WriteTarget { bucket, key }, &DeleteRequest::default());
        deleted.expect("the object is deleted");
    }

    /// Takes the current version of a key out for good.
    pub(crate) fn purge(&self, bucket: &str, key: &str) {
        let mut model = self.server.model();
        let current = model.bucket(bucket).expect("the bucket").current(key);
        let version_id = Some(current.expect("the object").id.clone());
        let delete = DeleteRequest {
            version_id,
            ..DeleteRequest::default()
        };
        model
            .delete_object(WriteTarget { bucket, key }, &delete)
            .expect("the version is deleted");
    }

    /// The arguments that name both sides.
    pub(crate) fn sides() -> Vec<String> {
        Self::sides_below("")
    }

    pub(crate) fn sides_below(prefix: &str) -> Vec<String> {
        let arguments = [
            "--source",
            &format!("s3://{SOURCE}/{prefix}"),
            "--source-region",
            SOURCE_REGION,
            "--destination",
            &format!("s3://{DESTINATION}/{prefix}"),
            "--destination-region",
            DESTINATION_REGION,
        ];
        arguments.map(str::to_owned).to_vec()
    }

    fn command(&self, command: &str, arguments: &[String]) -> Command {
        let mut running = Command::new(tools::cli().expect("the CLI is built"));
        running
            .arg(command)
            .args(arguments)
            .current_dir(self.folder())
            .env_clear()
            .env("AWS_ENDPOINT_URL", self.server.endpoint())
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("HOME", self.folder())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        running
    }

    /// Starts a command.
    pub(crate) fn start(&self, command: &str, arguments: &[String]) -> Child {
        self.command(command, arguments).spawn().expect("the CLI starts")
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, command: &str, arguments: &[String]) -> Ran {
        ended(self.start(command, arguments)).await
    }

    /// Runs a command on both sides, with JSON on standard output.
    pub(crate) async fn on_both(&self, command: &str, more: &[&str]) -> Ran {
        let mut arguments = Self::sides();
        arguments.extend(["--output", "json"].map(str::to_owned));
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        self.run(command, &arguments).await
    }
}

/// Starts a command in a folder, with nothing else in its environment.
pub(crate) fn start(folder: &Path, environment: &[(&str, &str)], command: &str, arguments: &[String]) -> Child {
    Command::new(tools::cli().expect("the CLI is built"))
        .arg(command)
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the CLI starts")
}

/// Waits for a command's end.
pub(crate) async fn ended(child: Child) -> Ran {
    let output = child.wait_with_output().await.expect("the CLI ends");
    let text = |bytes| String::from_utf8(bytes).expect("the CLI writes UTF-8");
    Ran {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
