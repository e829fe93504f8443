//! Whose credentials requests are signed with.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::stage::{Ran, Stage, ended, start};

/// The response of the token service to `AssumeRole`.
const ROLE: &str = "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
                    <Credentials><AccessKeyId>ROLEKEY</AccessKeyId><SecretAccessKey>any</SecretAccessKey>\
                    <SessionToken>any</SessionToken><Expiration>2099-01-01T00:00:00Z</Expiration></Credentials>\
                    </AssumeRoleResult></AssumeRoleResponse>";

/// A service that hands out a role and has no bucket, and remembers which key each request was signed with.
struct Service {
    endpoint: String,
    signed_with: Arc<Mutex<Vec<String>>>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
        let signed_with = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&signed_with);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                answer(connection, &seen).await;
            }
        });
        Self { endpoint, signed_with }
    }

    fn signed_with(&self) -> Vec<String> {
        self.signed_with.lock().expect("no panic").clone()
    }
}

async fn answer(connection: TcpStream, seen: &Mutex<Vec<String>>) {
    let mut connection = BufReader::new(connection);
    let (mut is_post, mut length) = (false, 0);
    loop {
        let mut line = String::new();
        connection.read_line(&mut line).await.expect("a request");
        if line.trim().is_empty() {
            break;
        }
        is_post |= line.starts_with("POST ");
        if let Some((_, key)) = line.split_once("Credential=") {
            let key = key.split('/').next().expect("a key");
            seen.lock().expect("no panic").push(key.to_owned());
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await.expect("a body");
    let (status, body) = if is_post {
        ("200 OK", ROLE)
    } else {
        ("404 Not Found", "")
    };
    let answer = format!(
        "HTTP/1.1 {status}\r\ncontent-type: text/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(answer.as_bytes()).await.expect("the client reads");
}

fn write_profiles(folder: &Path) {
    let process = folder.join("credentials.json");
    std::fs::write(
        &process,
        r#"{"Version": 1, "AccessKeyId": "PROCESSKEY", "SecretAccessKey": "any"}"#,
    )
    .expect("a file");
    let config = format!(
        "[profile static]\naws_access_key_id = PROFILEKEY\naws_secret_access_key = any\n\
         [profile role]\nrole_arn = arn:aws:iam::123456789012:role/migration\nsource_profile = static\n\
         [profile process]\ncredential_process = cat {}\n\
         [profile empty]\nregion = us-east-1\n",
        process.display()
    );
    std::fs::create_dir(folder.join(".aws")).expect("a folder");
    std::fs::write(folder.join(".aws/config"), config).expect("a file");
}

async fn diff(service: &Service, more: &[&str]) -> Ran {
    let folder = TempDir::new().expect("a folder");
    write_profiles(folder.path());
    let environment = [
        ("AWS_ENDPOINT_URL", service.endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "ENVIRONMENTKEY"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_PROFILE", "static"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("PATH", "/usr/bin:/bin"),
    ];
    let mut arguments = Stage::sides();
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    ended(start(folder.path(), &environment, "diff", &arguments)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn named_profile_goes_before_keys_in_the_environment() {
    for (more, keys) in [
        (&[][..], &["ENVIRONMENTKEY"][..]),
        (&["--profile", "static"], &["PROFILEKEY"]),
        (&["--profile", "process"], &["PROCESSKEY"]),
        // The role is asked for with the keys of its source profile.
        (&["--profile", "role"], &["PROFILEKEY", "ROLEKEY"]),
    ] {
        let service = Service::start().await;
        let ran = diff(&service, more).await.must_end_with(3);
        assert!(ran.stderr.contains("NoSuchBucket"), "{ran:?}");
        assert_eq!(service.signed_with(), keys, "{more:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn profiles_without_credentials_end_with_3_and_take_no_others() {
    for (name, expected) in [
        ("missing", "profile `missing` gives no credentials"),
        ("empty", "profile `empty` gives no credentials"),
    ] {
        let service = Service::start().await;
        let ran = diff(&service, &["--profile", name]).await.must_end_with(3);
        assert!(ran.stderr.contains(expected), "{ran:?}");
        assert!(ran.stderr.contains("next: pass an existing profile"), "{ran:?}");
        assert_eq!(service.signed_with(), [""; 0], "nothing was sent");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn report_names_the_profile_that_the_credentials_are_of() {
    let stage = Stage::new().await;
    write_profiles(stage.folder());
    let keys = [("AWS_ACCESS_KEY_ID", "any"), ("AWS_SECRET_ACCESS_KEY", "any")];
    let environment = [
        ("AWS_ENDPOINT_URL", stage.server.endpoint()),
        ("AWS_PROFILE", "static"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("PATH", "/usr/bin:/bin"),
    ];
    for (keys, more, by) in [
        (&keys[..], &[][..], "unknown"),
        (&keys[..], &["--profile", "process"], "process"),
        (&[], &[], "static"),
    ] {
        let mut arguments = Stage::sides();
        let more = ["--output", "json", "--allow-empty"].iter().chain(more);
        arguments.extend(more.map(|argument| (*argument).to_owned()));
        let running = start(stage.folder(), &[&environment, keys].concat(), "verify", &arguments);
        let ran = ended(running).await.must_end_with(0);
        assert_eq!(ran.summary()["operator"], by, "{ran:?}");
    }
}
