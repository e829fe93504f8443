//! A proxy before the simulator that answers some requests by itself.

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::stage::{Ran, Stage, ended, start};

/// The head of a request, as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Head(String);

impl Head {
    pub(crate) fn method(&self) -> &str {
        self.0.split(' ').next().expect("a method")
    }

    /// Path and query.
    pub(crate) fn target(&self) -> &str {
        self.0.split(' ').nth(1).expect("a target")
    }

    /// Returns whether a header has a value.
    pub(crate) fn has(&self, header: &str) -> bool {
        self.0.lines().any(|line| line.eq_ignore_ascii_case(header))
    }

    /// Returns whether it has a text anywhere, such as the region that it is signed for.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.contains(text)
    }

    /// Returns whether it is of an object, and not of a bucket.
    pub(crate) fn is_of_object(&self) -> bool {
        self.target().trim_matches('/').contains('/')
    }

    /// Returns whether it lists the objects of a bucket.
    pub(crate) fn lists(&self, bucket: &str) -> bool {
        self.method() == "GET"
            && self.target().starts_with(&format!("/{bucket}"))
            && self.target().contains("list-type=2")
    }

    /// An error answer, which has no body for a HEAD.
    pub(crate) fn refused(&self, status: u16, code: &str) -> String {
        let body =
            format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>Said by a proxy.</Message></Error>");
        self.answered(status, &body)
    }

    /// An answer.
    pub(crate) fn answered(&self, status: u16, body: &str) -> String {
        let body = if self.method() == "HEAD" { "" } else { body };
        format!(
            "HTTP/1.1 {status} Proxied\r\ncontent-type: application/xml\r\ncontent-length: {}\r\nconnection: close\r\n\r\n\
             {body}",
            body.len()
        )
    }
}

/// Begins a proxy that gives the answers that `answers` returns, and passes everything else on; returns its endpoint.
pub(crate) async fn proxy(
    stage: &Stage,
    answers: impl Fn(&Head) -> Option<String> + Clone + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let upstream = stage.server.endpoint().trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let (upstream, answers) = (upstream.clone(), answers.clone());
            tokio::spawn(async move { pass_or_answer(connection, upstream, &answers).await });
        }
    });
    endpoint
}

async fn pass_or_answer(connection: TcpStream, upstream: String, answers: &(impl Fn(&Head) -> Option<String> + Sync)) {
    let mut client = BufReader::new(connection);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        // A client that is done closes what it holds open; one that was killed resets it.
        if client.read_line(&mut head).await.unwrap_or_default() == 0 {
            return;
        }
    }
    let head = Head(head);
    // The client may close the connection early.
    if let Some(answer) = answers(&head) {
        let _cut = client.write_all(answer.as_bytes()).await;
        return;
    }
    let mut server = TcpStream::connect(upstream).await.expect("the simulator");
    let request = head.0.replacen("\r\n", "\r\nconnection: close\r\n", 1);
    server.write_all(request.as_bytes()).await.expect("it reads");
    let (mut from_server, mut to_server) = server.split();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let up = async {
        let mut buffer = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = from_client.read(&mut buffer).await {
            if to_server.write_all(&buffer[..count]).await.is_err() {
                break;
            }
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = tokio::io::copy(&mut from_server, &mut to_client) => {}
        () = up => {}
    }
}

/// Runs a command with an endpoint of its own.
pub(crate) async fn run(stage: &Stage, endpoint: &str, command: &str, arguments: &[String]) -> Ran {
    let environment = [
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "any"),
        ("AWS_SECRET_ACCESS_KEY", "any"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ];
    ended(start(stage.folder(), &environment, command, arguments)).await
}

/// The arguments that name both sides, and more.
pub(crate) fn on_both(more: &[&str]) -> Vec<String> {
    let mut arguments = Stage::sides();
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}

/// The arguments that name the source, and more.
pub(crate) fn of_source(more: &[&str]) -> Vec<String> {
    let mut arguments = Stage::sides();
    arguments.truncate(4);
    arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
    arguments
}
