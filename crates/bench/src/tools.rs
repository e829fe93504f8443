//! Command lines of s3ferry's CLI and of the peers.

use std::path::{Path, PathBuf};

use s3ferry_tests::{HarnessError, SOURCE_REGION, tools};

use crate::contest::Contender;
use crate::error::BenchResult;
use crate::measure::CommandLine;
use crate::world::{DESTINATION, SOURCE, World};

/// Folder of the peers in the repository.
const PEERS: &str = ".tools/peers";

/// Why a peer cannot run.
const NOT_INSTALLED: &str = "not installed; run `make bench-peers`";

/// The installed peers.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    folder: Option<PathBuf>,
}

impl Peers {
    /// Peers that `make bench-peers` installs.
    pub(crate) fn installed() -> Self {
        Self {
            folder: Some(tools::repository().join(PEERS)),
        }
    }

    /// No peers, for a run of s3ferry only.
    pub(crate) fn none() -> Self {
        Self { folder: None }
    }

    fn file(&self, name: &str) -> std::result::Result<PathBuf, String> {
        let folder = self.folder.as_ref().ok_or("left out with --no-peers")?;
        let path = folder.join("bin").join(name);
        if path.is_file() {
            Ok(path)
        } else {
            Err(NOT_INSTALLED.to_owned())
        }
    }

    /// Returns the Python interpreter with boto3, the Lambda runtime client and `DuckDB`.
    pub(crate) fn python(&self) -> std::result::Result<PathBuf, String> {
        self.file("python")
    }

    /// Returns the executable of s5cmd itself. The script in `bin` would add the time of a Python start.
    fn s5cmd(&self) -> std::result::Result<PathBuf, String> {
        let script = self.file("s5cmd")?;
        let libraries = script.with_file_name("..").join("lib");
        let versions = std::fs::read_dir(libraries).map_err(|error| error.to_string())?;
        versions
            .filter_map(|version| Some(version.ok()?.path().join("site-packages/s5cmd/bin/s5cmd")))
            .find(|path| path.is_file())
            .ok_or_else(|| NOT_INSTALLED.to_owned())
    }
}

/// Creates command lines for the buckets of one simulator.
pub(crate) struct Toolbox<'w> {
    world: &'w World,
    peers: &'w Peers,
    cli: PathBuf,
}

impl<'w> Toolbox<'w> {
    /// Creates command lines for a simulator.
    pub(crate) fn new(world: &'w World, peers: &'w Peers) -> BenchResult<Self> {
        Ok(Self {
            world,
            peers,
            cli: tools::cli()?,
        })
    }

    fn environment(&self, region: &str) -> Vec<(String, String)> {
        let home = self.world.scratch().display().to_string();
        let endpoint = self.world.server().endpoint();
        [
            ("AWS_ENDPOINT_URL", endpoint),
            ("S3_ENDPOINT_URL", endpoint),
            ("AWS_ACCESS_KEY_ID", "any"),
            ("AWS_SECRET_ACCESS_KEY", "any"),
            ("AWS_REGION", region),
            ("AWS_DEFAULT_REGION", region),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            ("HOME", &home),
            ("PATH", "/usr/local/bin:/usr/bin:/bin"),
            ("LANG", "C.UTF-8"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn command(&self, program: PathBuf, arguments: Vec<String>, accepted: &'static [i32]) -> CommandLine {
        CommandLine {
            program,
            arguments,
            environment: self.environment(self.world.destination_region),
            accepted,
            error_mark: None,
        }
    }

    /// A command of s3ferry's CLI with both buckets.
    pub(crate) fn s3ferry(&self, verb: &str, more: &[&str], accepted: &'static [i32]) -> Contender<CommandLine> {
        let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
        let buckets = [
            verb,
            "--source",
            &source,
            "--source-region",
            SOURCE_REGION,
            "--destination",
            &destination,
            "--destination-region",
            self.world.destination_region,
            "--output",
            "json",
        ];
        let command = self.command(self.cli.clone(), texts(&[&buckets, more]), accepted);
        contender("s3ferry", settings(&[&[verb], more]), true, Ok(command))
    }

    /// A command of s5cmd on all objects, with global flags and flags of the command.
    pub(crate) fn s5cmd(&self, global: &[&str], verb: &str, flags: &[&str]) -> Contender<CommandLine> {
        let regions = [
            "--source-region",
            SOURCE_REGION,
            "--destination-region",
            self.world.destination_region,
        ];
        let (source, destination) = (format!("s3://{SOURCE}/*"), format!("s3://{DESTINATION}/"));
        let arguments = texts(&[global, &[verb], &regions, flags, &[&source, &destination]]);
        let work = self.peers.s5cmd().map(|program| CommandLine {
            error_mark: Some("ERROR"),
            ..self.command(program, arguments, &[0])
        });
        contender("s5cmd", settings(&[global, &[verb], flags]), false, work)
    }

    /// A command of rclone on both buckets. Copies are made by S3.
    pub(crate) fn rclone(&self, verb: &str, flags: &[&str], accepted: &'static [i32]) -> Contender<CommandLine> {
        let remote = |bucket: &str, region: &str| {
            let endpoint = self.world.server().endpoint();
            format!(
                ":s3,provider=AWS,env_auth=true,endpoint='{endpoint}',force_path_style=true,region={region}:{bucket}"
            )
        };
        let (source, destination) = (
            remote(SOURCE, SOURCE_REGION),
            remote(DESTINATION, self.world.destination_region),
        );
        let fixed = ["--config", "/dev/null", "--server-side-across-configs", verb];
        let arguments = texts(&[&fixed, flags, &[&source, &destination]]);
        let work = self
            .peers
            .file("rclone")
            .map(|program| self.command(program, arguments, accepted));
        contender("rclone", settings(&[&[verb], flags]), false, work)
    }

    /// `aws s3` with a number of concurrent requests, by default its own.
    pub(crate) fn aws(
        &self,
        concurrency: Option<u32>,
        verb: &str,
        flags: &[&str],
    ) -> BenchResult<Contender<CommandLine>> {
        let (source, destination) = (format!("s3://{SOURCE}"), format!("s3://{DESTINATION}"));
        self.aws_between(concurrency, verb, flags, (&source, &destination))
    }

    /// `aws s3` with its own source and destination.
    pub(crate) fn aws_between(
        &self,
        concurrency: Option<u32>,
        verb: &str,
        flags: &[&str],
        (source, destination): (&str, &str),
    ) -> BenchResult<Contender<CommandLine>> {
        let regions = [
            "--source-region",
            SOURCE_REGION,
            "--region",
            self.world.destination_region,
        ];
        let arguments = texts(&[&["s3", verb], flags, &regions, &[source, destination]]);
        let configuration = write_aws_configuration(self.world.scratch(), concurrency)?;
        let work = self.peers.file("aws").map(|program| {
            let mut command = self.command(program, arguments, &[0]);
            command.environment.push(("AWS_CONFIG_FILE".to_owned(), configuration));
            command
        });
        let concurrency = concurrency.map(|number| format!("max_concurrent_requests={number}"));
        let shown: Vec<&str> = concurrency.iter().map(String::as_str).collect();
        let flags: Vec<&str> = flags
            .iter()
            .copied()
            .filter(|flag| *flag != "--only-show-errors")
            .collect();
        Ok(contender("aws s3", settings(&[&[verb], &flags, &shown]), false, work))
    }

    /// A Python script of the harness, run with the peers' interpreter.
    pub(crate) fn python(
        &self,
        tool: &'static str,
        shown: &str,
        script: &Path,
        more: &[&str],
    ) -> Contender<CommandLine> {
        let script = script.display().to_string();
        let work = self.peers.python();
        let work = work.map(|program| self.command(program, texts(&[&[&script], more]), &[0]));
        contender(tool, shown.to_owned(), false, work)
    }
}

/// Writes a configuration file of the AWS CLI, and returns its path.
///
/// <https://docs.aws.amazon.com/cli/latest/topic/s3-config.html>
fn write_aws_configuration(folder: &Path, concurrency: Option<u32>) -> BenchResult<String> {
    let name = concurrency.map_or_else(|| "default".to_owned(), |number| number.to_string());
    let path = folder.join(format!("aws-{name}.ini"));
    let s3 =
        concurrency.map(|number| format!("s3 =\n  max_concurrent_requests = {number}\n  max_queue_size = 10000\n"));
    std::fs::write(&path, format!("[default]\n{}", s3.unwrap_or_default()))
        .map_err(HarnessError::io("writing the configuration of the AWS CLI"))?;
    Ok(path.display().to_string())
}

fn contender(
    tool: &'static str,
    settings: String,
    is_s3ferry: bool,
    work: std::result::Result<CommandLine, String>,
) -> Contender<CommandLine> {
    Contender {
        tool,
        settings,
        is_s3ferry,
        work,
    }
}

fn texts(groups: &[&[&str]]) -> Vec<String> {
    groups
        .iter()
        .flat_map(|group| group.iter().map(|text| (*text).to_owned()))
        .collect()
}

fn settings(groups: &[&[&str]]) -> String {
    groups.concat().join(" ")
}
